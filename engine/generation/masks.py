"""What the grammars of texts allow next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.continuous.row import Row
from engine.generation.peaks import parts
from engine.structured.grammar import fill_masks


class Masks:
    """The bits of rows with a grammar, kept between steps.

    Attributes:
        at: int64 [rows with a grammar], where they stand among the rows; on the CPU.
        bits: int32 [at least so many, ⌈vocabulary / 32⌉], as ``Matcher.fill`` sets them; on the CPU.
    """

    def __init__(self, rows: Sequence[Row], size: int, device: Any, before: Masks | None) -> None:
        self.matchers = [row.matcher for row in rows if row.matcher is not None]
        self.at: Index = np.array([at for at, row in enumerate(rows) if row.matcher is not None], np.int64)
        self.size, self.device = size, device
        self._table: Any = before._table if before else _barred(device)
        self.bits = _room(len(self.at), size, before)
        self._bits: Any = None

    def fill(self) -> None:
        """Asks every grammar what may come next."""
        import torch

        bits = self.bits[: len(self.at)]
        bits[:] = 0
        fill_masks(self.matchers, bits)
        self._bits = torch.from_numpy(bits).to(self.device)

    def allow(self, places: Any, tokens: Any) -> Any:
        """bool [any], whether a token is allowed, of rows int64 [any] among ``at``."""
        word = self._bits[places, tokens // 32]
        return (word >> (tokens % 32) & 1).bool()

    def apply(self, places: Any, logits: Any, rows: Any) -> None:
        """Makes tokens impossible in place that are not allowed.

        Args:
            places: int64 [any], of rows among ``at``.
            logits: float32 [all rows, vocabulary].
            rows: int64 [any], where the same stand in the logits.
        """
        import torch

        for part, some in parts(rows, logits):
            # Added, since filling where a mask says so takes several times as long on a CPU.
            eights = self._bits[places[part]].view(torch.uint8).int().flatten()
            barred = self._table.index_select(0, eights).view(len(some), -1)[:, : self.size]
            logits.index_add_(0, some, barred)


def _room(rows: int, size: int, before: Masks | None) -> npt.NDArray[np.int32]:
    """Bits for so many rows, those that were there before where they are enough."""
    if before is not None and before.size == size and len(before.bits) >= rows:
        return before.bits
    return np.zeros((rows, -(-size // 32)), np.int32)


def _barred(device: Any) -> Any:
    """float32 [256, 8]: for the bits of a byte, lowest first, 0 where set and -inf where not."""
    import torch

    allowed = torch.arange(256, device=device)[:, None] >> torch.arange(8, device=device) & 1
    return torch.zeros((256, 8), device=device).masked_fill(allowed == 0, -float("inf"))
