"""One text while it is written. Runs in the worker."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.generation.backend import Matcher, Prompt, TokenLogprobs, Written

if TYPE_CHECKING:
    from engine.generation.chooser import Chosen

#: Random numbers that are made at once.
_AHEAD: Final = 64


class Row:
    """A prompt and what has been written after it.

    Attributes:
        prompt: what was asked.
        written: int64 [max_tokens at most, grown by doubling], of which the first ``step`` are there.
        step: tokens written so far.
        logprob: sum of their natural-log probabilities.
        cached: tokens of the prompt that were not computed for this row.
    """

    def __init__(self, prompt: Prompt, cached: int = 0) -> None:
        self.prompt = prompt
        self.written: Index = np.zeros(16, np.int64)
        self.step = 0
        self.logprob = 0.0
        self.cached = cached
        self._random: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._taken: list[float] = []
        self._ids: list[npt.NDArray[np.int32]] = []
        self._top: list[npt.NDArray[np.float32]] = []

    @cached_property
    def matcher(self) -> Matcher | None:
        """Where the text stands in its grammar; None without one."""
        grammar = self.prompt.decoding.grammar
        return None if grammar is None else grammar.matcher()

    @cached_property
    def _generator(self) -> np.random.Philox:
        """Of random numbers: made for rows that draw."""
        return np.random.Philox(key=self.prompt.key)

    @property
    def ids(self) -> Index:
        """int64 [step], what has been written."""
        return self.written[: self.step]

    @property
    def uniform(self) -> float:
        """The random number of this step, above 0 and below 1: the same for the step whatever runs beside it."""
        while self.step >= len(self._random):
            self._random = np.concatenate([self._random, self._generator.random_raw(_AHEAD)])
        return (float(self._random[self.step] >> np.uint64(32)) + 0.5) / 2.0**32

    def append(self, token: int, logprob: float) -> None:
        """Adds the token of this step, with its log probability."""
        if self.step == len(self.written):
            self.written = np.concatenate([self.written, np.zeros_like(self.written)])
        self.written[self.step] = token
        self.step += 1
        self.logprob += logprob
        if self.matcher is not None and token not in self.prompt.decoding.ends:
            self.matcher.accept(token)

    def tell(self, taken: float, ids: npt.NDArray[np.int32], top: npt.NDArray[np.float32]) -> None:
        """Keeps the log probabilities of this step, where the prompt asks for them."""
        self._taken.append(taken)
        self._ids.append(ids)
        self._top.append(top)

    def result(self, finish_reason: str) -> Written:
        """The finished text."""
        told = self.prompt.decoding.top_logprobs
        logprobs = None
        if told is not None:
            ids, top = np.array(self._ids, np.int32), np.array(self._top, np.float32)
            shape = (self.step, told)
            logprobs = TokenLogprobs(np.array(self._taken, np.float32), ids.reshape(shape), top.reshape(shape))
        prompt, ids_ = self.prompt, self.ids.copy()
        return Written(prompt.id, ids_, finish_reason, self.logprob, len(prompt.ids), self.cached, logprobs)


def take(row: Row, chosen: Chosen, at: int) -> None:
    """Adds the token that was chosen for a row, and the log probabilities that it asks for."""
    told, logprob = row.prompt.decoding.top_logprobs, float(chosen.logprob[at])
    row.append(int(chosen.tokens[at]), logprob)
    if told is not None:
        row.tell(logprob, chosen.top_ids[at, :told].astype(np.int32), chosen.top_logprobs[at, :told])
