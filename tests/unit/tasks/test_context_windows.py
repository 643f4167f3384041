"""Windows over a context, against those that the tokenizer cuts itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.tasks.context_windows import context_of, context_windows, ranges, some
from engine.tasks.tokens import Tokens, tokenize
from tests import tiny

QUESTIONS = ["what", "of " * 10, "what is it", "", "water " * 12, "of " * 40]
CONTEXTS = ["the " * 200, "waterfalls " * 30, "the a", "", "of", "the " * 21]


def parts(tokens: Tokens) -> list[Any]:
    """Owner, ids, segments and places of every sequence."""
    spans = tokens.spans
    assert spans is not None
    columns = (tokens.ids, tokens.types, spans.start, spans.end, spans.word, spans.side)
    return [(int(owner), [column[tokens.of(i)].tolist() for column in columns]) for i, owner in enumerate(tokens.owner)]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(("limit", "stride"), [(64, 0), (64, 20), (30, 9), (500, 128)])
def test_windows_are_those_of_the_tokenizer(side: int, limit: int, stride: int) -> None:
    tokenizer = tiny.tokenizer()
    first, second = (QUESTIONS[:5], CONTEXTS[:5]) if side else (CONTEXTS[:5], QUESTIONS[:5])
    whole = tokenize(tokenizer, first, second, max_length=None, spans=True)
    found = parts(context_windows(whole, side, limit=limit, stride=stride))
    cut = "only_second" if side else "only_first"
    expected = []
    for row, (a, b) in enumerate(zip(first, second, strict=True)):
        one = tokenize(tokenizer, [a], [b], max_length=limit, cut=cut, stride=stride, spans=True)  # type: ignore[arg-type]
        expected += [(row, columns) for _, columns in parts(one)]
    assert found == expected


def test_a_question_that_leaves_no_room_has_no_window() -> None:
    whole = tokenize(tiny.tokenizer(), QUESTIONS, CONTEXTS, max_length=None, spans=True)
    windows = context_windows(whole, 1, limit=50, stride=7)
    assert sorted(set(windows.owner.tolist())) == [0, 1, 2, 3, 4]  # 40 and 3 tokens beside a context of 21
    assert 5 in context_windows(whole, 1, limit=50, stride=6).owner
    assert 5 in context_windows(whole, 1, limit=64, stride=63).owner  # it fits as it is


def test_no_sequences_give_no_windows() -> None:
    whole = tokenize(tiny.tokenizer(), [], [], max_length=None, spans=True)
    assert context_windows(whole, 1, limit=8, stride=2).ids.size == 0


def test_some_sequences_in_another_order() -> None:
    whole = tokenize(tiny.tokenizer(), QUESTIONS, CONTEXTS, max_length=None, spans=True)
    everything = parts(whole)
    assert parts(some(whole, np.array([4, 0]))) == [everything[4], everything[0]]


def test_contexts_and_ranges_written_out() -> None:
    inside = np.array([0, 1, 1, 0, 0, 0, 0, 1], bool)
    first, count = context_of(inside, np.array([0, 4, 6, 8]))
    assert (first.tolist(), count.tolist()) == ([1, 6, 7], [2, 0, 1])
    assert ranges(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert ranges(np.array([], np.int64), np.array([], np.int64)).tolist() == []
