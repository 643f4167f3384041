"""Tokens drawn among the likeliest: top_k, top_p and min_p as transformers has them, without sorting a vocabulary.

Of tokens equally likely at the edge of top_p, transformers leaves whichever its sort does; here the last ones stay.
top_p: Holtzman et al. 2020, arXiv:1904.09751. min_p: Nguyen et al. 2024, arXiv:2407.01082.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from engine.generation.bars import bars
from engine.generation.peaks import Peaks
from engine.generation.sampling import draw

#: Blocks of tokens to look into first: they hold about so many of the likeliest tokens.
_BLOCKS: Final = 256


@dataclass(frozen=True)
class Cuts:
    """What rows that draw ask for, all on the device.

    Args:
        temperature: float32 [rows].
        top_k: int64 [rows], the vocabulary's size for all.
        removed: float32 [rows], 1 - top_p.
        min_p: float32 [rows].
    """

    temperature: Any
    top_k: Any
    removed: Any
    min_p: Any

    def take(self, rows: Any) -> Cuts:
        """These rows alone."""
        return Cuts(self.temperature[rows], self.top_k[rows], self.removed[rows], self.min_p[rows])


def drawn(peaks: Peaks, rows: Any, cuts: Cuts, best: Any, uniform: Any) -> Any:
    """int64 [rows], a token of each row, -1 where there is no distribution.

    Args:
        peaks: of logits to which everything but the temperature has been done.
        rows: int64 [rows], where these rows stand in the logits.
        cuts: of these rows, each with top_k, top_p or min_p.
        best: float32 [rows], the probability of the likeliest token under the temperature; NaN where nobody looks.
        uniform: float64 [rows], the step's random numbers.
    """
    import torch

    tokens = torch.full_like(rows, -1)
    waiting = torch.arange(len(rows), device=rows.device)
    for look in (_first, _again, _everywhere):
        asked, at = cuts.take(waiting), rows[waiting]
        values, ids, bar = look(peaks, at, asked, best[waiting])
        tokens[waiting], done = _drawn(values, ids, bar, asked, best[waiting], uniform[waiting], peaks.size)
        waiting = waiting[~done]
        if not len(waiting):
            break
    return tokens


def _first(peaks: Peaks, rows: Any, cuts: Cuts, best: Any) -> tuple[Any, Any, Any]:
    return peaks.few(rows, _BLOCKS)


def _again(peaks: Peaks, rows: Any, cuts: Cuts, best: Any) -> tuple[Any, Any, Any]:
    bar = bars(peaks, rows, cuts.temperature, cuts.top_k, cuts.removed, cuts.min_p)
    return *peaks.above(rows, bar), bar


def _everywhere(peaks: Peaks, rows: Any, cuts: Cuts, best: Any) -> tuple[Any, Any, Any]:
    bar = cuts.temperature.new_full((len(rows),), -float("inf"))
    return *peaks.above(rows, bar), bar


def _drawn(values: Any, ids: Any, bar: Any, cuts: Cuts, best: Any, uniform: Any, size: int) -> tuple[Any, Any]:
    """Tokens drawn among these, and whether all that may be drawn are among these."""
    complete = bar == -float("inf")
    values, bar = values / cuts.temperature[:, None], bar / cuts.temperature
    kept, whole = _cut(values, bar, cuts, best.masked_fill(complete, float("nan")), size)
    places = draw(kept, uniform)
    tokens = ids.gather(1, places.clamp(min=0)[:, None]).squeeze(1)
    return tokens.where(places >= 0, places), whole | complete


def _cut(values: Any, bar: Any, cuts: Cuts, best: Any, size: int) -> tuple[Any, Any]:
    """Scores [rows, any] with -inf for tokens that may not be drawn, and whether no token below the bar may be."""
    import torch

    scores, order = values.sort(dim=-1, stable=True)
    largest = scores[:, -1:]
    limited = (cuts.top_k < size)[:, None]
    before = (scores.shape[1] - cuts.top_k)[:, None]
    last = scores.gather(1, before.clamp(min=0)).masked_fill(before < 0, -float("inf"))
    scores = scores.masked_fill((scores < last) & limited, -float("inf"))
    # Where the whole vocabulary counts, what is not here is the least likely of it.
    odds = (scores - largest).exp().double()
    known = (best.isfinite() & ~limited.squeeze(1))[:, None]
    total = torch.where(known, 1 / best.double()[:, None], odds.sum(dim=-1, keepdim=True))
    probabilities = (odds / total).float().double()
    outside = torch.where(known, 1 - probabilities.sum(dim=-1, keepdim=True), 0.0).clamp(min=0)
    removed = (outside + probabilities.cumsum(dim=-1)).float() <= cuts.removed[:, None]
    removed[:, -1] = False
    left = scores.masked_fill(removed, -float("inf")).softmax(dim=-1)
    removed |= left < cuts.min_p[:, None] * left.amax(dim=-1, keepdim=True)
    removed |= scores == -float("inf")
    kept = values.masked_fill(torch.zeros_like(removed).scatter(1, order, removed), -float("inf"))
    by_p = known & (cuts.removed > 0)[:, None] & (outside.float() <= cuts.removed[:, None])
    by_min = (bar[:, None] - largest).exp() < cuts.min_p[:, None] * (1 - 1e-6)
    return kept, torch.where(limited, last > bar[:, None], by_p | by_min).squeeze(1)
