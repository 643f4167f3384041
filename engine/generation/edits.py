"""Changes of a few logits: biases, penalties, and end tokens that may not come yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.continuous.row import Row
from engine.generation.backend import Decoding
from engine.generation.tally import Tally

#: Repetition, presence and frequency penalties that change nothing.
_NONE: Final = (1.0, 0.0, 0.0)


class Edit:
    """What one row asks for; tokens outside the vocabulary are left out."""

    def __init__(self, row: Row, size: int) -> None:
        asked = row.prompt.decoding
        inside = {token: bias for token, bias in asked.logit_bias.items() if 0 <= token < size}
        self.row = row
        self.fewest = asked.min_tokens
        self.ends = np.array([token for token in asked.ends if 0 <= token < size], np.int64)
        self.biased = np.array(list(inside), np.int64)
        self.bias = np.array(list(inside.values()), np.float32)
        self.penalties = _penalties(asked)
        self.tally = Tally(row, size) if self.penalties != _NONE else None


def edits(asked: Decoding) -> bool:
    """Whether a row asks for any change."""
    return bool(asked.logit_bias) or asked.min_tokens > 0 or _penalties(asked) != _NONE


def _penalties(asked: Decoding) -> tuple[float, float, float]:
    return asked.repetition_penalty, asked.presence_penalty, asked.frequency_penalty


class Edits:
    """The changes of rows that run together, in this order, which is transformers' for those that it has:

    the bias is added; repetition divides or multiplies (Keskar et al. 2019, arXiv:1909.05858) as transformers does;
    frequency × count and presence are subtracted (OpenAI's formula); end tokens become impossible.

    Args:
        rows: in the order of the logits.
        before: of the rows that ran before, by ``id``: what was counted for them goes on.
    """

    def __init__(self, rows: Sequence[Row], size: int, device: Any, before: Mapping[int, Edit]) -> None:
        import torch

        self.size, self.device = size, device
        made = {at: before.get(id(row)) or Edit(row, size) for at, row in enumerate(rows) if edits(row.prompt.decoding)}
        self.by_row = {id(edit.row): edit for edit in made.values()}
        self.early = {at: edit for at, edit in made.items() if edit.fewest > 0}
        self.tallies = {at: edit.tally for at, edit in made.items() if edit.tally is not None}
        self.biased = [at for at, edit in made.items() if len(edit.biased)]
        self._penalties = np.array([made[at].penalties for at in self.tallies], np.float32).reshape(-1, 3)
        self._bias_at = self._places({at: made[at].biased for at in self.biased})
        self._bias = torch.from_numpy(_joined([made[at].bias for at in self.biased], np.float32)).to(device)
        self._at: Any = None
        self._logits: Any = None

    def apply(self, logits: Any) -> Index:
        """Changes logits float32 [rows, vocabulary] in place; int64 [any], the rows that were changed."""
        import torch

        early = {at: edit.ends for at, edit in self.early.items() if edit.row.step < edit.fewest}
        changed = sorted({*early, *self.tallies, *self.biased})
        if not changed:
            return np.zeros(0, np.int64)
        for tally in self.tallies.values():
            tally.update()
        flat = logits.view(-1)
        counted = self._places({at: tally.ids for at, tally in self.tallies.items()})
        ended = self._places(early)
        self._at = torch.cat([self._bias_at, counted, ended])
        self._logits = flat[self._at]
        flat[self._bias_at] = flat[self._bias_at] + self._bias
        flat[counted] = self._penalised(flat[counted])
        flat[ended] = -float("inf")
        return np.array(changed, np.int64)

    def undo(self, logits: Any) -> None:
        """Gives the logits back as they were before ``apply``."""
        if self._at is not None:
            logits.view(-1)[self._at] = self._logits
            self._at = self._logits = None

    def _penalised(self, scores: Any) -> Any:
        import torch

        tallies = list(self.tallies.values())
        counts = torch.from_numpy(_joined([tally.counts for tally in tallies], np.float32)).to(self.device)
        each = np.repeat(self._penalties, [len(tally) for tally in tallies], axis=0)
        repetition, presence, frequency = torch.from_numpy(each.T.copy()).to(self.device)
        scores = torch.where(scores < 0, scores * repetition, scores / repetition)
        return scores - frequency * counts - presence * (counts > 0)

    def _places(self, tokens: Mapping[int, Index]) -> Any:
        """int64 [tokens of all], where these of each row stand in the flat logits."""
        import torch

        places = [at * self.size + ids for at, ids in tokens.items()]
        return torch.from_numpy(_joined(places, np.int64)).to(self.device)


def _joined(arrays: Sequence[npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *arrays])
