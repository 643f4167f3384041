"""Whisper's rules for time stamps, for all rows of a batch at once.

They are those of transformers' WhisperTimeStampLogitsProcessor (after Radford et al. 2022, arXiv:2212.04356): time
stamps come in pairs around each stretch of text, never fall, and come where together they are likelier than any text.
"""

from __future__ import annotations

from typing import Any

from engine.speech.rules import Rules

_NEVER = -float("inf")


class Stamps:
    """Where each row stands with its time stamps. Lives on the device.

    Attributes:
        latest: int64 [rows], the last time stamp written; the token before the first time stamp where there is none.
        last, before: bool [rows], whether the last token and the one before it are time stamps; what stands before
            the first counts as one.
    """

    def __init__(self, rules: Rules, rows: int, device: Any) -> None:
        import torch

        self.rules = rules
        self.latest = torch.full((rows,), rules.first_stamp - 1, device=device)
        self.last = torch.zeros(rows, dtype=torch.bool, device=device)
        self.before = ~self.last
        self.first = True

    def apply(self, scores: Any) -> None:
        """Rules out, in place, what may not come next: float32 [rows, vocabulary]."""
        rules = self.rules
        text, stamps = scores[:, : rules.first_stamp], scores[:, rules.first_stamp :]
        text[:, rules.no_timestamps] = _NEVER
        if self.first:
            text.fill_(_NEVER)
            if rules.max_initial_timestamp is not None:
                stamps[:, rules.max_initial_timestamp + 1 :] = _NEVER
        else:
            self._pairs(scores, stamps)
        _rule_out(text, stamps.logsumexp(dim=1) > text.amax(dim=1))

    def _pairs(self, scores: Any, stamps: Any) -> None:
        import torch

        single = self.last & ~self.before  # behind a text: its pair or the end has to follow
        _rule_out(scores[:, : self.rules.end], single)
        least = self.latest + ~single - self.rules.first_stamp
        falls = torch.arange(stamps.shape[1], device=stamps.device) < least[:, None]
        stamps.masked_fill_(falls | (self.last & self.before)[:, None], _NEVER)

    def append(self, tokens: Any) -> None:
        """Takes note of the next token of each row, int64 [rows]."""
        stamped = tokens >= self.rules.first_stamp
        self.before = self.last | self.first
        self.last = stamped
        self.latest = tokens.where(stamped, self.latest)
        self.first = False

    def keep(self, rows: Any) -> None:
        """Keeps these rows, int64 on the device."""
        self.latest, self.last, self.before = self.latest[rows], self.last[rows], self.before[rows]


def _rule_out(scores: Any, rows: Any) -> None:
    """Rules out all tokens of these rows, bool [rows]; adding is several times as fast on a CPU as filling is."""
    scores.add_(scores.new_zeros(len(scores)).masked_fill_(rows, _NEVER)[:, None])
