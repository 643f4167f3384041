"""Dynamic time warping and what comes before it: by hand and against transformers' own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.models.whisper import generation_whisper

from engine.speech.alignment import first_positions, matrix


def _theirs(costs: np.ndarray) -> np.ndarray:
    tokens, positions = generation_whisper._dynamic_time_warping(costs.astype(np.float64))
    return positions[np.pad(np.diff(tokens), (1, 0), constant_values=1).astype(bool)]


def test_a_way_by_hand() -> None:
    costs = np.array([[0, 0, 9, 9, 9], [9, 9, 0, 9, 9], [9, 9, 9, 0, 0]], np.float32)
    assert [one.tolist() for one in first_positions([costs])] == [[0, 2, 3]]


@pytest.mark.parametrize("seed", range(5))
def test_ways_are_transformers_own_all_at_once(seed: int) -> None:
    random = np.random.default_rng(seed)
    shapes = [(1, 1), (1, 7), (6, 1), (5, 40), (12, 30), (30, 12), (17, 17)]
    costs = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    costs += [random.integers(0, 3, size=shape).astype(np.float32) for shape in shapes]  # ties
    for found, one in zip(first_positions(costs), costs, strict=True):
        np.testing.assert_array_equal(found, np.maximum(_theirs(one), 0))


def test_no_matrix_and_one_without_tokens_have_no_way() -> None:
    assert first_positions([]) == []
    assert [one.tolist() for one in first_positions([np.zeros((0, 3), np.float32), np.zeros((1, 3), np.float32)])] == [
        [],
        [0],
    ]


@pytest.mark.parametrize("positions", [2, 3, 4, 50])
def test_a_matrix_is_transformers_own(positions: int) -> None:
    torch.manual_seed(positions)
    weights = torch.randn(3, 9, positions).softmax(dim=-1)
    told = (weights - weights.mean(dim=-2, keepdim=True)) / weights.std(dim=-2, keepdim=True, unbiased=False)
    expected = generation_whisper._median_filter(told[None], 7)[0].mean(dim=0)
    np.testing.assert_array_equal(matrix(weights, 7), expected.numpy())


def test_positions_that_all_tokens_attend_to_alike_say_nothing() -> None:
    assert matrix(torch.full((2, 1, 20), 0.05), 7).tolist() == [[0.0] * 20]
