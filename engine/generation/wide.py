"""Whole vocabularies as distributions, a few rows at once."""

from __future__ import annotations

from typing import Any, Final

from engine.generation.peaks import parts, selected
from engine.generation.sampling import draw

#: Probabilities that are summed before they are looked at one by one; below so many of them all are.
_WIDTH: Final = 64
_NARROW: Final = 4096


def best_probability(logits: Any, rows: Any, best: Any, temperature: Any = None) -> Any:
    """float32 [rows], the probability of the likeliest tokens, int64 [rows]; NaN where the logits hold NaN or Inf."""
    import torch

    found = torch.empty(len(rows), device=logits.device)
    for part, some in parts(rows, logits):
        scores = selected(logits, some)
        if temperature is not None:
            scores = scores / temperature[part, None]
        found[part] = scores.softmax(dim=-1).gather(1, best[part, None]).squeeze(1)
    return found


def drawn_of_all(logits: Any, rows: Any, temperature: Any, uniform: Any) -> Any:
    """int64 [rows], a token of each row, -1 where there is no distribution; temperature float32, uniform float64."""
    import torch

    tokens = torch.empty_like(rows)
    for part, some in parts(rows, logits):
        tokens[part] = _draw(selected(logits, some) / temperature[part, None], uniform[part])
    return tokens


def _draw(scores: Any, uniform: Any) -> Any:
    """As ``draw``, by sums of blocks: cumulative sums in double precision of everything would take most of the time."""
    import torch

    if scores.shape[1] <= _NARROW:
        return draw(scores, uniform)
    size = int(scores.shape[1])
    whole = size // _WIDTH
    probabilities = scores.softmax(dim=-1)
    blocks = probabilities[:, : whole * _WIDTH].unflatten(1, (whole, _WIDTH)).sum(dim=-1)
    sums = torch.cat([blocks, probabilities[:, whole * _WIDTH :].sum(dim=-1, keepdim=True)], dim=1)
    until = sums.cumsum(dim=-1, dtype=torch.float64)
    target = (uniform * until[:, -1])[:, None]
    block = torch.searchsorted(until, target, right=True).clamp(max=whole)
    ids = block * _WIDTH + torch.arange(_WIDTH, device=block.device)
    inside = probabilities.gather(1, ids.clamp(max=size - 1)).masked_fill(ids >= size, 0.0)
    inside = inside.cumsum(dim=-1, dtype=torch.float64)
    # The block's sum was rounded: a number beyond its last token means that one, never one that is ruled out.
    target = (target - until.gather(1, block) + sums.gather(1, block)).clamp(min=0)
    target = torch.minimum(target, inside[:, -1:] * (1 - 2.0**-52))
    tokens = (block * _WIDTH + torch.searchsorted(inside, target, right=True)).squeeze(1)
    return torch.where(until[:, -1].isfinite(), tokens, -1)
