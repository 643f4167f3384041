"""What the encoder heard of segments, as the decoder attends to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from engine.batching import Index

#: Stretches of segments without a gap, at most, before the gaps are closed.
_STRETCHES: Final = 4


@dataclass(frozen=True)
class States:
    """What every layer's cross-attention needs of segments; on the device.

    Args:
        keys: of each layer, [segments, heads, size, positions]: so the product with one token's queries reads them in
            the order they lie in, which on a CPU takes a third of the time.
        values: of each layer, [segments, heads, positions, size].
    """

    keys: tuple[Any, ...]
    values: tuple[Any, ...]

    def __len__(self) -> int:
        return int(self.keys[0].shape[0])

    def take(self, at: Index) -> States:
        """A copy of some of the segments; these states themselves where all are taken as they stand."""
        import torch

        if np.array_equal(at, np.arange(len(self))):
            return self
        rows = torch.from_numpy(np.ascontiguousarray(at, np.int64)).to(self.keys[0].device)
        keys, values = ([one.index_select(0, rows) for one in part] for part in (self.keys, self.values))
        return States(tuple(keys), tuple(values))


class Heard:
    """The states of the segments that are still written, those of others being gaps between them.

    A gap costs another call of the attention, closing it costs a copy of the largest tensors there are: so some are
    left open.
    """

    def __init__(self, states: States) -> None:
        self.states = states
        self.at = np.arange(len(states))
        self.stretches = [slice(0, len(states))]

    def keep(self, rows: Index) -> None:
        """Keeps these of the rows, int64 in rising order."""
        self.at = self.at[rows]
        starts = np.flatnonzero(np.diff(self.at, prepend=-2) != 1)
        if starts.size > _STRETCHES:
            self.states = self.states.take(self.at)
            self.at, starts = np.arange(self.at.size), np.zeros(1, np.int64)
        ends = np.append(starts[1:], self.at.size)
        self.stretches = [slice(int(self.at[a]), int(self.at[b - 1]) + 1) for a, b in zip(starts, ends, strict=True)]

    def weights(self, layer: int, queries: Any) -> Any:
        """How scaled queries [rows, heads, tokens, size] attend to positions: [rows, heads, tokens, positions]."""
        return self._each(lambda part, rows: part @ self.states.keys[layer][rows], queries).softmax(dim=-1)

    def taken(self, layer: int, weights: Any) -> Any:
        """What is taken from the segments with these weights: [rows, heads, tokens, size]."""
        return self._each(lambda part, rows: part @ self.states.values[layer][rows], weights)

    def _each(self, product: Callable[[Any, slice], Any], given: Any) -> Any:
        """The product for every stretch."""
        import torch

        if len(self.stretches) == 1:
            return product(given, self.stretches[0])
        parts = given.split([one.stop - one.start for one in self.stretches])
        return torch.cat([product(part, rows) for part, rows in zip(parts, self.stretches, strict=True)])
