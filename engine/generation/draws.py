"""The rows among those that run whose tokens are drawn by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.continuous.row import Row
from engine.generation.backend import Decoding
from engine.generation.cuts import Cuts, drawn
from engine.generation.peaks import Peaks
from engine.generation.wide import best_probability, drawn_of_all


def draws(asked: Decoding) -> bool:
    """Whether a row's tokens are drawn."""
    return bool(asked.temperature)


class Draws:
    """What rows that draw ask for, as tensors; made once for as long as the same rows run together."""

    def __init__(self, rows: Sequence[Row], size: int, device: Any) -> None:
        import torch

        self.at = [at for at, row in enumerate(rows) if draws(row.prompt.decoding)]
        self.rows = [rows[at] for at in self.at]
        asked = [row.prompt.decoding for row in self.rows]
        # transformers subtracts in double precision and compares in single.
        removed = [max(0.0, 1 - one.top_p) for one in asked]
        top_k = np.array([one.top_k if 0 < one.top_k < size else size for one in asked], np.int64)
        cut = np.array([k < size or one.top_p < 1 or one.min_p > 0 for k, one in zip(top_k, asked, strict=True)], bool)
        self.device = device
        self.places = torch.tensor(self.at, dtype=torch.int64, device=device)
        self.cut = torch.from_numpy(np.flatnonzero(cut)).to(device)
        self.free = torch.from_numpy(np.flatnonzero(~cut)).to(device)
        self.cuts = Cuts(
            torch.tensor([one.temperature for one in asked], dtype=torch.float32, device=device),
            torch.from_numpy(top_k).to(device),
            torch.tensor(removed, dtype=torch.float32, device=device),
            torch.tensor([one.min_p for one in asked], dtype=torch.float32, device=device),
        )

    def __call__(self, peaks: Peaks, tokens: Any, best: Any) -> None:
        """Puts the drawn tokens in place of the likeliest.

        Args:
            peaks: of logits to which everything but the temperature has been done.
            tokens: int64 [all rows], the likeliest of these.
            best: float32 [all rows], their probability without a temperature; NaN where that is not known.
        """
        import torch

        if not self.rows:
            return
        numbers = [row.uniform for row in self.rows]
        uniform = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        if len(self.cut):
            places, cuts = self.places[self.cut], self.cuts.take(self.cut)
            known = _known(peaks, places, cuts, tokens[places], best[places])
            tokens[places] = drawn(peaks, places, cuts, known, uniform[self.cut])
        if len(self.free):
            places, temperature = self.places[self.free], self.cuts.temperature[self.free]
            tokens[places] = drawn_of_all(peaks.logits, places, temperature, uniform[self.free])


def _known(peaks: Peaks, places: Any, cuts: Cuts, tokens: Any, best: Any) -> Any:
    """float32 [rows], the likeliest tokens' probability under the temperature, where top_p is of all tokens."""
    import torch

    of_all = (cuts.removed > 0) & (cuts.top_k >= peaks.size)
    known = best.where(of_all & (cuts.temperature == 1), float("nan"))
    asked = torch.nonzero(of_all & known.isnan()).squeeze(1)
    known[asked] = best_probability(peaks.logits, places[asked], tokens[asked], cuts.temperature[asked])
    return known
