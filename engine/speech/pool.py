"""Windows of many recordings that wait until enough of about one length can be computed at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Window(NamedTuple):
    """A stretch of a recording as the model takes it.

    Args:
        item: which recording.
        inputs: float32 [samples] or [frames, features].
        mask: int64 [frames], 0 where the feature extractor padded; None for samples.
        first: the recording's frame that is the first of the window's own.
        kept: the frames of the model's output that are the window's own.
    """

    item: int
    inputs: npt.NDArray[np.float32]
    mask: npt.NDArray[np.int64] | None
    first: int
    kept: slice


class Pool:
    """A bounded number of windows, of which those alike in length leave together.

    Args:
        size: windows of a batch at most; four times as many wait at most.
        mixed: whether windows of different lengths may share a batch.
    """

    def __init__(self, *, size: int, mixed: bool) -> None:
        self._size = size
        self._mixed = mixed
        self._waiting: list[Window] = []

    def add(self, window: Window) -> Iterator[list[Window]]:
        """The batch that has to leave to make room, if any."""
        self._waiting.append(window)
        if len(self._waiting) >= 4 * self._size:
            yield self._take()

    def rest(self) -> Iterator[list[Window]]:
        """Batches of all that wait."""
        while self._waiting:
            yield self._take()

    def _take(self) -> list[Window]:
        """The longest windows, or where lengths may not be mixed those of the most frequent one."""
        waiting = sorted(self._waiting, key=lambda window: -len(window.inputs))
        if not self._mixed:
            [(length, _)] = Counter(len(window.inputs) for window in waiting).most_common(1)
            waiting.sort(key=lambda window: len(window.inputs) != length)
            taken = [window for window in waiting[: self._size] if len(window.inputs) == length]
        else:
            taken = waiting[: self._size]
        self._waiting = waiting[len(taken) :]
        return taken
