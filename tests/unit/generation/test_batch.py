"""Prompts laid side by side, by hand."""

from __future__ import annotations

import numpy as np

from engine.generation.batch import Batch, padded
from engine.tasks.tokens import Tokens


def tokens() -> Tokens:
    """Three sequences: 11 12 13, 21, 31 32."""
    ids = np.array([11, 12, 13, 21, 31, 32])
    return Tokens(ids, np.zeros_like(ids), np.array([0, 3, 4, 6]), np.zeros(3, bool), np.arange(3))


def test_prompts_are_padded_where_the_model_writes_on_or_not() -> None:
    ids, real = padded(tokens(), np.array([2, 1, 0]), 9, left=True)
    assert ids.tolist() == [[9, 31, 32], [9, 9, 21], [11, 12, 13]]
    assert real.tolist() == [[0, 1, 1], [0, 0, 1], [1, 1, 1]]
    ids, real = padded(tokens(), np.array([1, 2]), 9, left=False)
    assert ids.tolist() == [[21, 9], [31, 32]]
    assert real.tolist() == [[1, 0], [1, 1]]


def test_rows_of_one_length_lose_their_padding() -> None:
    ids, real = padded(tokens(), np.array([1, 0, 1, 2]), 9, left=True)
    numbers = np.arange(4) * np.ones((2, 1))
    batch = Batch(ids, real, np.arange(4), np.arange(4) + 10, numbers.T)
    assert [rows.tolist() for rows in batch.groups(by_length=False)] == [[0, 1, 2, 3]]
    assert [rows.tolist() for rows in batch.groups(by_length=True)] == [[0, 2], [3], [1]]
    part = batch.take(np.array([0, 3]))
    assert part.ids.tolist() == [[9, 21], [31, 32]]
    assert part.real.tolist() == [[0, 1], [1, 1]]
    assert (part.fewest.tolist(), part.most.tolist()) == ([0, 3], [10, 13])
    assert part.uniform is not None
    assert part.uniform[:, 0].tolist() == [0, 3]
