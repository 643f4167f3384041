"""Draws from whole vocabularies, against cumulative sums of everything."""

from __future__ import annotations

import pytest
import torch

from engine.generation.sampling import draw
from engine.generation.wide import best_probability, drawn_of_all


@pytest.mark.parametrize("size", [30, 4096, 4097, 20_000])
def test_tokens_are_those_of_a_plain_draw(size: int) -> None:
    torch.manual_seed(size)
    logits, rows = torch.randn(40, size) * 3, torch.arange(1, 40, 2)
    temperature, uniform = torch.rand(20) + 0.5, torch.rand(20, dtype=torch.float64)
    expected = draw(logits[rows] / temperature[:, None], uniform)
    assert drawn_of_all(logits, rows, temperature, uniform).equal(expected)


@pytest.mark.parametrize("number", [0.5 / 2**32, 0.5, 1 - 0.5 / 2**32])
@pytest.mark.parametrize("token", [0, 63, 64, 4200, 4999])
def test_a_token_that_is_ruled_out_is_never_drawn(number: float, token: int) -> None:
    logits = torch.full((1, 5000), -float("inf"))
    logits[0, token] = 0.0
    uniform = torch.tensor([number], dtype=torch.float64)
    assert drawn_of_all(logits, torch.tensor([0]), torch.ones(1), uniform).tolist() == [token]


def test_logits_that_are_no_numbers_draw_nothing() -> None:
    logits = torch.zeros(2, 5000)
    logits[0], logits[1, 4] = -float("inf"), float("nan")
    uniform = torch.full((2,), 0.5, dtype=torch.float64)
    assert drawn_of_all(logits, torch.arange(2), torch.ones(2), uniform).tolist() == [-1, -1]


def test_the_likeliest_tokens_probability_by_hand() -> None:
    logits = torch.tensor([[0.0, 9.0], [0.2, 0.8], [0.1, 0.9]]).log()
    rows, best = torch.tensor([1, 2]), torch.tensor([1, 1])
    assert best_probability(logits, rows, best).tolist() == pytest.approx([0.8, 0.9])
    halved = best_probability(logits, rows, best, torch.tensor([0.5, 0.5]))
    assert halved.tolist() == pytest.approx([0.64 / 0.68, 0.81 / 0.82])
