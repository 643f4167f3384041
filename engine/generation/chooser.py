"""Logits of rows that run together → a token of each, as each row asks. Runs on the device.

For every row the tokens are those of transformers' processors on this row alone, in transformers' order, followed by
``argmax`` or by ``engine.generation.sampling.draw``; no vocabulary is copied or sorted where that can be avoided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.continuous.row import Row
from engine.generation.composition import Composition
from engine.generation.peaks import Peaks
from engine.generation.wide import best_probability


@dataclass(frozen=True)
class Chosen:
    """The tokens of one step; on the CPU.

    Args:
        tokens: int64 [rows], -1 where the logits hold NaN or +Inf, or nothing finite.
        logprob: float32 [rows], natural-log probability of the token under the logits as they came.
        top_ids, top_logprobs: int64 and float32 [rows, k], the likeliest tokens, best first, k the most that any row
            asks for; 0 and -inf where a row asks for none and beyond a vocabulary's end.
    """

    tokens: Index
    logprob: npt.NDArray[np.float32]
    top_ids: Index
    top_logprobs: npt.NDArray[np.float32]


class Chooser:
    """Chooses the tokens of rows, whatever runs together; what it makes of a composition is kept while that stays.

    A row for which nothing is left (its grammar, its biases and ``min_tokens`` rule every token out) takes its first
    end token: its text ends, and who reads it sees that it is not whole. Without an end token it has -1.

    Args:
        model: on whose device the logits are.
    """

    def __init__(self, model: Any) -> None:
        self.device = model.device
        self._composition: Composition | None = None

    def __call__(self, logits: Any, rows: Sequence[Row]) -> Chosen:
        """The next token of each row; the rows stay as they are.

        Args:
            logits: float32 [rows, vocabulary]; may be changed.
            rows: in the same order; at least one.
        """
        import torch

        with torch.inference_mode():
            return _chosen(logits.contiguous(), self._together(rows, int(logits.shape[1])))

    def _together(self, rows: Sequence[Row], size: int) -> Composition:
        before = self._composition
        if before is None or before.size != size or before.rows != list(rows):
            before = self._composition = Composition(rows, size, self.device, before)
        return before


def _chosen(logits: Any, together: Composition) -> Chosen:
    import torch

    peaks, rows = Peaks(logits), torch.arange(len(logits), device=logits.device)
    values, likeliest = peaks.best(rows)
    best = best_probability(logits, rows, likeliest)
    total = values - best.log()  # the logarithm of the sum of all exponentials
    top_ids, top_logprobs = _told(peaks, together, total)
    ends = together.ends.clamp(min=0)
    ending = _at(logits, ends)
    left, tokens = values.clone(), likeliest.clone()
    _changed(peaks, together, left, tokens, best)
    together.draws(peaks, tokens, best)
    together.edits.undo(logits)
    stuck = left == -float("inf")
    tokens = tokens.where(~stuck, together.ends)
    # A mask is not undone: it changed tokens that were not taken.
    taken = _at(logits, tokens.clamp(min=0)).where(~stuck, ending)
    tokens = torch.where(values.isfinite(), tokens, -1)
    return Chosen(tokens.cpu().numpy(), (taken - total).cpu().numpy(), top_ids, top_logprobs)


def _changed(peaks: Peaks, together: Composition, left: Any, tokens: Any, best: Any) -> None:
    """Does to the logits what is asked for; brings the likeliest tokens [rows], their logits and probability along."""
    import torch

    def renew(rows: Any) -> None:
        peaks.renew(rows)
        left[rows], tokens[rows] = peaks.best(rows)
        best[rows] = float("nan")

    edited = together.edits.apply(peaks.logits)
    if edited.size:
        renew(torch.from_numpy(edited).to(tokens.device))
    masks = together.masks
    if masks.at.size:
        masks.fill()
        places, rows = (torch.from_numpy(a).to(tokens.device) for a in (np.arange(masks.at.size), masks.at))
        # Where the likeliest token is allowed, it stays the likeliest.
        greedy = torch.from_numpy(together.greedy).to(tokens.device)
        barred = torch.nonzero(~(greedy & masks.allow(places, tokens[rows]))).squeeze(1)
        masks.apply(places[barred], peaks.logits, rows[barred])
        renew(rows[barred])


def _told(peaks: Peaks, together: Composition, total: Any) -> tuple[Index, npt.NDArray[np.float32]]:
    """The likeliest tokens [rows, k] of rows that want to know them, and their log probabilities."""
    import torch

    shape = (len(together.rows), int(together.told.max(initial=0)))
    ids, logprobs = np.zeros(shape, np.int64), np.full(shape, -np.inf, np.float32)
    asking = np.flatnonzero(together.told)
    if asking.size:
        rows = torch.from_numpy(asking).to(total.device)
        values, found = peaks.top(rows, shape[1])
        some = found.shape[1]  # a small vocabulary may have fewer than are asked for
        ids[asking, :some] = found.cpu().numpy()
        logprobs[asking, :some] = (values - total[rows, None]).cpu().numpy()
    return ids, logprobs


def _at(logits: Any, tokens: Any) -> Any:
    return logits.gather(1, tokens[:, None]).squeeze(1)
