"""What the grammars of texts allow next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.batching import Index
from engine.continuous.row import Row
from engine.generation.peaks import parts


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
        fits = before is not None and len(before.bits) >= len(self.at) and before.size == size
        self.bits = before.bits if fits and before else np.zeros((len(self.at), -(-size // 32)), np.int32)
        self._bits: Any = None

    def fill(self) -> None:
        """Asks every grammar what may come next."""
        import torch

        bits = self.bits[: len(self.at)]
        bits[:] = 0
        for matcher, row in zip(self.matchers, bits, strict=True):
            matcher.fill(row)
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

        bit = torch.arange(32, dtype=torch.int32, device=logits.device)
        for part, some in parts(rows, logits):
            barred = (self._bits[places[part]][..., None] >> bit & 1).eq(0).flatten(1)[:, : self.size]
            logits[some] = logits[some].masked_fill(barred, -float("inf"))
