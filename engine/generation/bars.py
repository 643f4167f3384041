"""How large a logit has to be for its token to be drawn at all, roughly and never too large."""

from __future__ import annotations

from typing import Any, Final

from engine.generation.peaks import Peaks, parts, selected

#: Steps of a histogram for each factor e in probability, and all of them; what is less likely is in the last one.
_FINE: Final = 16
_STEPS: Final = 32 * _FINE
#: What rounding may take.
_SLACK: Final = 1e-5


def bars(peaks: Peaks, rows: Any, temperature: Any, top_k: Any, removed: Any, min_p: Any) -> Any:
    """float32 [rows], a logit below those of all tokens that top_k, top_p or min_p leave, -inf where that is not known.

    Each row by one of them, in this order; sizes and types as in ``engine.generation.cuts.Cuts``.
    """
    import torch

    largest = peaks.maxima[rows].amax(dim=-1)
    found = torch.full_like(largest, -float("inf"))
    limited = top_k < peaks.size
    by_k, by_p = limited.nonzero().squeeze(1), (~limited & (removed > 0)).nonzero().squeeze(1)
    by_min = (~limited & (removed <= 0) & (min_p > 0)).nonzero().squeeze(1)
    found[by_k] = _last(peaks, rows[by_k], top_k[by_k])
    found[by_p] = _mass(peaks, rows[by_p], temperature[by_p], removed[by_p], largest[by_p])
    found[by_min] = largest[by_min] + temperature[by_min] * (min_p[by_min].log() - _SLACK)
    return found - (found.abs() + 1) * _SLACK


def _last(peaks: Peaks, rows: Any, top_k: Any) -> Any:
    """The last logit among the ``top_k`` largest."""
    import torch

    found = torch.empty(len(rows), device=rows.device)
    for part, some in parts(rows, peaks.logits):
        largest = selected(peaks.logits, some).topk(int(top_k[part].max())).values
        found[part] = largest.gather(1, top_k[part, None] - 1).squeeze(1)
    return found


def _mass(peaks: Peaks, rows: Any, temperature: Any, removed: Any, largest: Any) -> Any:
    """A logit under which there is less probability than is removed, by a histogram of the probability."""
    import torch

    found = torch.empty(len(rows), device=rows.device)
    for part, some in parts(rows, peaks.logits):
        below = (largest[part, None] - selected(peaks.logits, some)) / temperature[part, None]
        odds = (-below).exp()
        step = (below * _FINE).clamp_(max=_STEPS - 1).long()
        mass = torch.zeros((len(some), _STEPS), device=rows.device).scatter_add_(1, step, odds).double()
        under = mass.sum(dim=-1, keepdim=True) - mass.cumsum(dim=-1)
        enough = under <= (removed[part, None].double() * (1 - _SLACK) - _SLACK / 10) * mass.sum(dim=-1, keepdim=True)
        first = enough.long().argmax(dim=-1)
        bar = largest[part] - temperature[part] * (first + 1) / _FINE
        found[part] = bar.where(enough.any(dim=-1) & (first < _STEPS - 1), -float("inf"))
    return found
