"""When each token was said: by the attention of a few heads, and the cheapest way through it.

Dynamic time warping after Sakoe and Chiba (1978), in float32 and with ties broken as in transformers'
``_dynamic_time_warping``, so that the ways are the same; all matrices are gone through at once, diagonal by diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.batching import Index

Matrix = npt.NDArray[np.float32]


def matrix(weights: Any, width: int) -> Matrix:
    """float32 [tokens, positions], how well they go together, of attention [heads, tokens, positions].

    Each position's weights are measured against its mean over the tokens, smoothed by a median over ``width``
    positions, and the heads' mean is taken. Where a position's weights are all equal they say nothing.
    """
    spread = weights.std(dim=-2, keepdim=True, unbiased=False)
    told = (weights - weights.mean(dim=-2, keepdim=True)) / spread
    found: Matrix = _median(told.where(spread > 0, 0), width).mean(dim=0).cpu().numpy()
    return found


def _median(values: Any, width: int) -> Any:
    """The median of each ``width`` neighbours in the last dimension, mirrored at its ends."""
    import torch

    half, size = width // 2, values.shape[-1]
    if size <= half:
        return values
    padded = torch.nn.functional.pad(values, (half, half), mode="reflect")
    sorting = [padded[..., at : at + size] for at in range(width)]
    # A bubble sort of whole rows, stopped when the median is in its place; sorting each neighbourhood is slower.
    for end in range(width - 1, half - 1, -1):
        for at in range(end):
            low, high = sorting[at], sorting[at + 1]
            sorting[at], sorting[at + 1] = torch.minimum(low, high), torch.maximum(low, high)
    return sorting[half]


def first_positions(costs: Sequence[Matrix]) -> list[Index]:
    """int64 [tokens] for each of the costs [tokens, positions]: where the cheapest way through enters each token."""
    if not costs:
        return []
    tokens, positions = (max(one.shape[axis] for one in costs) for axis in (0, 1))
    skewed = np.zeros((len(costs), tokens + positions + 1, tokens + 1), np.float32)
    table = _table(skewed)
    for number, one in enumerate(costs):
        table[number, 1 : one.shape[0] + 1, 1 : one.shape[1] + 1] = one
    moves = _table(_moves(skewed, positions))
    return [_entered(moves[number, 1 : one.shape[0] + 1, 1 : one.shape[1] + 1]) for number, one in enumerate(costs)]


def _table(skewed: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[any, tokens + 1, positions + 1], a view of [any, token + position, token]."""
    number, diagonals, tokens = skewed.shape
    one, down, right = skewed.strides
    return np.lib.stride_tricks.as_strided(skewed, (number, tokens, diagonals - tokens + 1), (one, down + right, down))


#: A step on the way to a token and a position, by where it comes from.
_BOTH, _TOKEN, _POSITION = 0, 1, 2


def _moves(skewed: Matrix, positions: int) -> npt.NDArray[np.int8]:
    """The step that leads to each cell, laid out as the costs are."""
    number, diagonals, width = skewed.shape
    moves = np.full(skewed.shape, _POSITION, np.int8)
    edge = np.full((number, width), np.inf, np.float32)
    before, last = edge.copy(), edge.copy()  # of the diagonals two and one before
    before[:, 0] = 0.0
    for diagonal in range(2, diagonals):
        first, stop = max(1, diagonal - positions), min(width, diagonal)
        both, token, position = before[:, first - 1 : stop - 1], last[:, first - 1 : stop - 1], last[:, first:stop]
        from_both = both < np.minimum(token, position)
        from_token = token < np.minimum(both, position)
        costs = np.where(from_both, both, np.where(from_token, token, position))
        moves[:, diagonal, first:stop] -= from_token + 2 * from_both.astype(np.int8)
        before, last = last, edge.copy()
        last[:, first:stop] = costs + skewed[:, diagonal, first:stop]
    return moves


def _entered(moves: npt.NDArray[np.int8]) -> Index:
    tokens, positions = moves.shape
    # For every cell: the last one at or before it, of the same token, that the way enters from another token.
    entries = np.maximum.accumulate(np.where(moves != _POSITION, np.arange(positions), 0), axis=1)
    found = np.zeros(tokens, np.int64)
    at = positions - 1
    for token in range(tokens - 1, -1, -1):
        found[token] = at = int(entries[token, at])
        at = max(0, at - int(moves[token, at] == _BOTH))
    return found
