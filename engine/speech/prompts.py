"""What the decoder is told before it writes: start token, language, task, and what was said before in front of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.batching import Index
from engine.errors import ParameterError
from engine.speech.rules import Rules


class Prompts:
    """Prompts of a batch, padded on the left; on the CPU.

    Attributes:
        ids: int64 [rows, longest].
        lengths, pads: int64 [rows], tokens of each prompt, and of the padding before it.
    """

    def __init__(self, prompts: Sequence[Sequence[int]]) -> None:
        longest = max(map(len, prompts))
        self.lengths = np.array([len(one) for one in prompts], np.int64)
        self.pads = longest - self.lengths
        self.ids = np.array([[0] * (longest - len(one)) + list(one) for one in prompts], np.int64)
        self.padded = bool(self.pads.any())

    def positions(self) -> Index:
        """int64 [rows, longest], of each token."""
        positions: Index = np.maximum(np.arange(self.ids.shape[1]) - self.pads[:, None], 0)
        return positions

    def mask(self) -> Any:
        """bool [rows, 1, longest, longest]: each token sees itself and what is before it, but for padding."""
        at = np.arange(self.ids.shape[1])
        seen = (at <= at[:, None]) & (at >= self.pads[:, None, None])
        return (seen | (at == at[:, None]))[:, None]

    def last(self, token: int) -> Index:
        """int64 [rows], where this token stands last. Raises ParameterError where a prompt has it nowhere."""
        found = self.ids == token
        found &= np.arange(self.ids.shape[1]) >= self.pads[:, None]
        if not found.any(axis=1).all():
            raise ParameterError("expected prompts with the model's start token, got one without")
        last: Index = self.ids.shape[1] - 1 - found[:, ::-1].argmax(axis=1)
        return last

    def room(self, rules: Rules) -> Index:
        """int64 [rows], tokens that may be written. Raises ParameterError where there is no room for any."""
        room = np.array([rules.room(int(length)) for length in self.lengths], np.int64)
        if room.min() < 1:
            raise ParameterError(
                f"expected prompts that leave room for a token among {rules.positions} positions, got one of "
                f"{self.lengths.max()} tokens: shorten the initial prompt"
            )
        return room
