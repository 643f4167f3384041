"""Largest logits by blocks, against a search of everything."""

from __future__ import annotations

import pytest
import torch

from engine.generation.peaks import Peaks, parts

NEVER = -float("inf")


@pytest.mark.parametrize("size", [1, 33, 2049, 70_001])
def test_the_largest_are_found_however_many_are_left_over(size: int) -> None:
    torch.manual_seed(size)
    logits = torch.randn(5, size)
    logits[2, -1] = logits[3, 0] = 9.0
    peaks, rows = Peaks(logits), torch.tensor([3, 2, 0])
    values, tokens = peaks.best(rows)
    assert tokens.tolist() == logits[rows].argmax(dim=-1).tolist()
    assert values.equal(logits[rows].amax(dim=-1))
    count = min(size, 20)
    values, tokens = peaks.top(rows, count)
    expected = logits[rows].topk(count)
    assert values.equal(expected.values)
    assert tokens.equal(expected.indices)


def test_equal_logits_are_told_in_the_order_of_tokens() -> None:
    logits = torch.zeros(1, 9000)
    logits[0, [8999, 3, 700]] = torch.tensor([2.0, 1.0, 1.0])
    assert Peaks(logits).top(torch.tensor([0]), 3)[1].tolist() == [[8999, 3, 700]]


@pytest.mark.parametrize(("size", "blocks"), [(20, 4), (5000, 16), (5000, 5000), (70_001, 256)])
def test_all_tokens_above_the_bar_are_given_in_their_order(size: int, blocks: int) -> None:
    torch.manual_seed(blocks)
    logits = torch.randn(4, size)
    logits[1, 3:] = NEVER
    peaks, rows = Peaks(logits), torch.tensor([1, 3])
    values, ids, bar = peaks.few(rows, blocks)
    for row, found, tokens, lowest in zip(rows, values, ids, bar, strict=True):
        expected = (logits[row] > lowest).nonzero().squeeze(1)
        assert tokens[: len(expected)].equal(expected)
        assert found[: len(expected)].equal(logits[row, expected])
        assert (found[len(expected) :] == NEVER).all()
        assert len(expected) >= min(blocks, size) - 1 or lowest == NEVER
    for one, same in zip(peaks.above(rows, bar), (values, ids), strict=True):
        assert one.equal(same)


def test_changed_rows_are_looked_at_again() -> None:
    logits = torch.zeros(3, 3000)
    peaks, rows = Peaks(logits), torch.tensor([2, 0])
    logits[0, 2999], logits[2, 5] = 1.0, 2.0
    peaks.renew(rows)
    assert peaks.best(rows)[1].tolist() == [5, 2999]


def test_wide_rows_are_handled_a_few_at_once() -> None:
    rows = torch.arange(5)
    found = list(parts(rows, torch.empty(5, 400_000)))
    assert [part.tolist() for _, part in found] == [[0, 1], [2, 3], [4]]
    assert all(rows[at].equal(part) for at, part in found)
    assert not list(parts(rows[:0], torch.empty(5, 400_000)))
