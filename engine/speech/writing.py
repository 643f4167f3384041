"""Writing segments token by token, greedily or by chance; segments that have ended leave the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from engine.errors import ParameterError, RowError, non_finite
from engine.generation.sampling import draw, uniforms
from engine.speech.layers import Layers, Past
from engine.speech.prompts import Prompts
from engine.speech.rules import Rules
from engine.speech.stamps import Stamps
from engine.speech.states import Heard, States
from engine.speech.written import Written

_NEVER: Final = -float("inf")
#: Rows leave when so large a part has ended: leaving copies the keys and values of the text.
_LEAVE: Final = 1 / 8


class Writing:
    """Segments of one batch on their way from prompt to text. Runs on the device, in inference mode.

    Attributes:
        rows: int64 [rows], which of the batch's segments are still here.
        ended: bool [rows], those that wait to leave.
        step: tokens written so far.
        ids, logprobs: int64 and float32 [segments, longest], what was written; the end token is among them.
        lengths: int64 [segments], tokens written, the end token among them; -1 where the logits were no numbers.
    """

    def __init__(
        self,
        layers: Layers,
        states: States,
        prompts: Sequence[Sequence[int]],
        rules: Rules,
        temperature: float,
        keys: Sequence[int] | None,
    ) -> None:
        self.layers, self.rules, self.temperature = layers, rules, temperature
        self.device = layers.vectors.device
        self.prompts = Prompts(prompts)
        self.room = self.prompts.room(rules)
        longest = int(self.room.max(initial=0))
        self.uniform = None if temperature == 0 else self._tensor(uniforms(_known(keys), longest))
        self.rows = np.arange(len(prompts))
        self.ended = np.zeros(len(prompts), bool)
        self.step = 0
        self.ids = np.zeros((len(prompts), longest), np.int64)
        self.logprobs = np.zeros((len(prompts), longest), np.float32)
        self.lengths = np.zeros(len(prompts), np.int64)
        self.heard = Heard(states)
        self.past = Past(layers, len(prompts))
        self.stamps = Stamps(rules, len(prompts), self.device) if rules.timestamps else None
        self.pads = self._tensor(self.prompts.pads)
        self.suppress = self._tensor(np.array(rules.suppress, np.int64))
        self.begin_suppress = self._tensor(np.array(rules.begin_suppress, np.int64))

    def run(self) -> list[Written | RowError]:
        """What is written for each segment."""
        logits, no_speech = self._read()
        while True:
            tokens, logprobs = self._choose(logits)
            self._note(tokens, logprobs)
            if self.ended.all():
                return self._written(no_speech)
            logits = self._next(self._leave(tokens))

    def _read(self) -> tuple[Any, Any]:
        """The first logits; float64 [segments], the no-speech probabilities."""
        prompts, rules = self.prompts, self.rules
        mask = self._tensor(prompts.mask()) if prompts.padded else None
        ids, positions = self._tensor(prompts.ids), self._tensor(prompts.positions())
        hidden = self.layers(ids, positions, self.past, self.heard, mask=mask)
        logits = self.layers.logits(hidden[:, -1])
        if rules.no_speech is None:
            return logits, np.zeros(len(self.rows))
        starts = prompts.last(rules.start)
        at_start = logits
        if (starts != prompts.ids.shape[1] - 1).any():
            at_start = self.layers.logits(hidden[self._tensor(self.rows), self._tensor(starts)])
        said = at_start.log_softmax(dim=-1)[:, rules.no_speech].exp()
        return logits, said.double().cpu().numpy()

    def _choose(self, logits: Any) -> tuple[Any, Any]:
        """The best or the drawn tokens, int64 [rows], -1 where the logits are no numbers; their log-probabilities."""
        scores = logits
        if len(self.suppress):
            scores.index_fill_(1, self.suppress, _NEVER)
        if self.step == 0 and len(self.begin_suppress):
            scores.index_fill_(1, self.begin_suppress, _NEVER)
        if self.stamps is not None:
            self.stamps.apply(scores)
        best, tokens = scores.max(dim=1)
        if self.uniform is not None:
            scores = _likeliest(scores, self.rules.top_k)
            tokens = draw(scores / self.temperature, self.uniform[:, self.step])
        logprobs = scores.gather(1, tokens.clamp(min=0)[:, None]).squeeze(1) - scores.logsumexp(dim=1)
        return tokens.where(best.isfinite(), -1), logprobs

    def _note(self, tokens: Any, logprobs: Any) -> None:
        """Notes the tokens, and which rows they end. The one place of a step that waits for the device."""
        import torch

        found, logprob = torch.stack([tokens.double(), logprobs.double()]).cpu().numpy()
        rows = self.rows[~self.ended]
        self.ids[rows, self.step] = found[~self.ended]
        self.logprobs[rows, self.step] = logprob[~self.ended]
        self.lengths[rows] += 1
        self.step += 1
        self.lengths[rows[found[~self.ended] < 0]] = -1
        self.ended |= (found < 0) | (found == self.rules.end) | (self.room[self.rows] <= self.step)

    def _leave(self, tokens: Any) -> Any:
        """Takes rows that have ended out of the batch; the tokens of those that stay."""
        if self.stamps is not None:
            self.stamps.append(tokens)
        if self.ended.mean() < _LEAVE:
            return tokens
        stay = np.flatnonzero(~self.ended)
        rows = self._tensor(stay)
        self.rows, self.ended = self.rows[stay], self.ended[stay]
        self.heard.keep(stay)
        self.past.keep(rows)
        if self.stamps is not None:
            self.stamps.keep(rows)
        self.pads = self.pads[rows]
        self.uniform = None if self.uniform is None else self.uniform[rows]
        return tokens[rows]

    def _next(self, tokens: Any) -> Any:
        """The logits behind these tokens."""
        import torch

        at = self.past.length
        # Rows that have ended and wait may have no position left: what they write is not looked at.
        positions = (at - self.pads).clamp(max=self.rules.positions - 1)
        mask = None
        if self.prompts.padded:
            mask = (torch.arange(at + 1, device=self.device) >= self.pads[:, None])[:, None, None]
        ids = tokens.clamp(min=0)[:, None]
        hidden = self.layers(ids, positions[:, None], self.past, self.heard, mask=mask)
        return self.layers.logits(hidden[:, -1])

    def _written(self, no_speech: Any) -> list[Written | RowError]:
        return [self._one(row, float(no_speech[row])) for row in range(len(self.lengths))]

    def _one(self, row: int, no_speech: float) -> Written | RowError:
        length = int(self.lengths[row])
        if length < 0:
            return non_finite()
        stopped = int(self.ids[row, length - 1]) == self.rules.end
        text = slice(0, length - stopped)
        return Written(
            ids=self.ids[row, text].copy(),
            logprobs=self.logprobs[row, text].copy(),
            avg_logprob=float(self.logprobs[row, :length].mean(dtype=np.float64)),
            no_speech_prob=no_speech,
            finish_reason="stop" if stopped else "length",
        )

    def _tensor(self, array: Any) -> Any:
        import torch

        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def _known(keys: Sequence[int] | None) -> Sequence[int]:
    if keys is None:
        raise ParameterError("expected a key for every segment where the temperature is above 0, got none")
    return keys


def _likeliest(scores: Any, top: int) -> Any:
    """Scores of the ``top`` likeliest tokens of each row; of all for 0."""
    if not 0 < top < scores.shape[1]:
        return scores
    least = scores.topk(top, dim=1).values[:, -1:]
    return scores.masked_fill(scores < least, _NEVER)
