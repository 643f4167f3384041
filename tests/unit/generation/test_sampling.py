"""Tokens drawn by chance: evenly, with their probabilities, and the same again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.generation.params import GenerationParams
from engine.generation.sampling import draw, keys, uniforms


def test_tokens_are_drawn_with_their_probabilities() -> None:
    """Pearson's statistic over 20,000 draws of five tokens: 99.9 % of fair ones stay below 18.5 (4 degrees)."""
    probabilities = torch.tensor([0.5, 0.25, 0.15, 0.09, 0.01])
    draws = 20_000
    [numbers] = uniforms([123], draws)
    tokens = draw(probabilities.log().expand(draws, -1), torch.from_numpy(numbers))
    counts = np.bincount(tokens.numpy(), minlength=5)
    expected = probabilities.numpy() * draws
    assert ((counts - expected) ** 2 / expected).sum() < 18.5


def test_the_first_tokens_of_many_prompts_are_drawn_with_their_probabilities() -> None:
    numbers = uniforms(list(keys([f"prompt {i}" for i in range(5000)], [7] * 5000, GenerationParams())), 1)
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert ((counts - 500) ** 2 / 500).sum() < 27.9  # 99.9 % of fair ones, 9 degrees


def test_a_number_falls_on_a_token_by_hand() -> None:
    scores = torch.tensor([[0.25, 0.0, 0.5, 0.25]]).log()
    found = [
        int(draw(scores, torch.tensor([number], dtype=torch.float64))) for number in (0.01, 0.24, 0.26, 0.74, 0.99)
    ]
    assert found == [0, 0, 2, 2, 3]


@pytest.mark.parametrize("numbers", [0.5 / 2**32, 1 - 0.5 / 2**32])
def test_a_token_that_is_ruled_out_is_never_drawn(numbers: float) -> None:
    scores = torch.full((1, 9), -float("inf"))
    scores[0, 4] = 0.0
    assert draw(scores, torch.tensor([numbers], dtype=torch.float64)).tolist() == [4]


def test_scores_that_are_no_numbers_draw_nothing() -> None:
    scores = torch.tensor([[0.0, 1.0], [float("nan"), 0.0], [-float("inf"), -float("inf")]])
    assert draw(scores, torch.full((3,), 0.1, dtype=torch.float64)).tolist() == [0, -1, -1]


def test_numbers_depend_on_the_key_alone() -> None:
    numbers = uniforms([1, 2, 1], 8)
    assert numbers.shape == (3, 8)
    assert (numbers > 0).all()
    assert (numbers < 1).all()
    np.testing.assert_array_equal(numbers[0], numbers[2])
    np.testing.assert_array_equal(uniforms([2], 3)[0], numbers[1, :3])
    assert not np.intersect1d(numbers[0], numbers[1]).size
    # Texts of a seed have to be the same in every release: these are Philox's first numbers for this key.
    np.testing.assert_allclose(numbers[0, :3], [0.303568034, 0.848708750, 0.156134778], rtol=1e-6)


def test_keys_differ_by_prompt_seed_and_text() -> None:
    params = GenerationParams(n=2)
    made = [*keys(["a", "b"], [1, 1], params), *keys(["a"], [2], params), *keys(["a"], [None], params)]
    assert len(set(made)) == 8


def test_parameters_count_where_there_is_no_seed() -> None:
    plain, warm = GenerationParams(temperature=1.0), GenerationParams(temperature=1.5)
    assert list(keys(["a"], [None], plain)) != list(keys(["a"], [None], warm))
    assert list(keys(["a"], [None], plain)) == list(keys(["a"], [None], GenerationParams(temperature=1)))
    assert list(keys(["a"], [3], plain)) == list(keys(["a"], [3], warm))
