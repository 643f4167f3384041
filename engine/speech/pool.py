"""Windows of many recordings that wait until enough of about one length can be computed at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Window(NamedTuple):
    """A stretch of a recording as the model takes it.

    Args:
        item: which recording.
        samples: of the stretch.
        inputs: float32 [samples] or [frames, features].
        mask: int64 [frames], 0 where the feature extractor padded; None for samples.
        first: the recording's frame that is the first of the window's own.
        kept: the frames of the model's output that are the window's own.
    """

    item: int
    samples: int
    inputs: npt.NDArray[np.float32]
    mask: npt.NDArray[np.int64] | None
    first: int
    kept: slice


class Pool:
    """A bounded number of windows, of which those alike in length leave together.

    Args:
        size: windows of a batch at most; four times as many wait at most.
        budget: samples of a batch at most, padded; a window of more goes alone.
        waiting: samples that wait at most.
        mixed: whether windows of different lengths may share a batch.
    """

    def __init__(self, *, size: int, budget: int, waiting: int, mixed: bool) -> None:
        self._size = size
        self._budget = budget
        self._bound = waiting
        self._mixed = mixed
        self._waiting: list[Window] = []

    def add(self, window: Window) -> Iterator[list[Window]]:
        """The batch that is full, or has to leave to make room, if any."""
        self._waiting.append(window)
        if not self._mixed and len(alike := self._alike(window)) == self._room(window):
            yield self._leave(alike)
        elif len(self._waiting) >= 4 * self._size or sum(one.samples for one in self._waiting) >= self._bound:
            yield self._next()

    def rest(self) -> Iterator[list[Window]]:
        """Batches of all that wait."""
        while self._waiting:
            yield self._next()

    def _next(self) -> list[Window]:
        """The longest windows; where lengths may not be mixed those like the oldest: rare lengths must not pile up."""
        if not self._mixed:
            return self._leave(self._alike(self._waiting[0]))
        longest = sorted(self._waiting, key=lambda window: -window.samples)
        return self._leave(longest[: self._room(longest[0])])

    def _alike(self, window: Window) -> list[Window]:
        return [one for one in self._waiting if len(one.inputs) == len(window.inputs)]

    def _room(self, longest: Window) -> int:
        return max(1, min(self._size, self._budget // longest.samples))

    def _leave(self, batch: list[Window]) -> list[Window]:
        gone = {id(window) for window in batch}
        self._waiting = [window for window in self._waiting if id(window) not in gone]
        return batch
