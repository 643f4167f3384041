"""Processors that must not see padding, by hand and against transformers' own on rows without any."""

from __future__ import annotations

import torch
from transformers import NoRepeatNGramLogitsProcessor, RepetitionPenaltyLogitsProcessor

from engine.generation.processors import penalised, without_repeats

NEVER = -float("inf")


def test_a_penalty_counts_tokens_and_not_padding() -> None:
    ids, real = torch.tensor([[0, 0, 2, 1], [3, 3, 0, 9]]), torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    scores = torch.tensor([[4.0, 4.0, -4.0, 4.0]] * 2)
    assert penalised(scores, ids, real, 2.0).tolist() == [[4.0, 2.0, -8.0, 4.0], [2.0, 4.0, -4.0, 2.0]]


def test_no_pair_is_written_twice_and_padding_makes_none() -> None:
    ids = torch.tensor([[1, 1, 1, 2, 1], [1, 2, 3, 2, 1], [0, 0, 0, 2, 0]])
    real = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
    scores = torch.zeros(3, 4)
    assert without_repeats(scores, ids, ids, real, 2).tolist() == [
        [0.0, NEVER, NEVER, 0.0],  # 1 1 and 1 2 are there
        [0.0, 0.0, NEVER, 0.0],  # 1 2
        [0.0, 0.0, NEVER, 0.0],  # 0 2, and not the 0 0 of the padding
    ]
    assert without_repeats(scores, ids, ids, real, 6).equal(scores)


def test_without_padding_they_are_transformers_own() -> None:
    torch.manual_seed(0)
    ids, scores = torch.randint(0, 6, (7, 30)), torch.randn(7, 8)
    real = torch.ones_like(ids)
    assert penalised(scores, ids, real, 1.3).equal(RepetitionPenaltyLogitsProcessor(1.3)(ids, scores.clone()))
    for size in (1, 2, 3):
        expected = NoRepeatNGramLogitsProcessor(size)(ids, scores.clone())
        assert without_repeats(scores, ids, ids, real, size).equal(expected)
        assert (expected == NEVER).any()
