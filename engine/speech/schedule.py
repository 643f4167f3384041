"""Many recordings heard side by side: the next 30 s of several clips are one batch, refilled as clips end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from engine.audio.feed import Piece
from engine.batching import isolate
from engine.errors import RowError
from engine.speech.clip import Clip, Heard
from engine.speech.recorded import Recorded

#: Clips and the codes of their languages, where they are known → what is said where each stands.
Hear: TypeAlias = Callable[[Sequence[Clip], Sequence["str | None"]], "list[Heard | RowError]"]


class Schedule:
    """Clips on their way through the device.

    A recording whose language is to be detected has one clip there until it is: that of its first 30 s with speech.

    Args:
        pieces: of the recordings: the value of each is a clip.
        hear: one batch.
        advance: takes in what was heard, and moves the clip on.
        language: code of all recordings; None to detect each one's.
        size: clips in a batch at most.
    """

    def __init__(
        self,
        pieces: Iterator[Piece],
        hear: Hear,
        advance: Callable[[Clip, Heard], None],
        *,
        language: str | None,
        size: int,
    ) -> None:
        self._pieces: Iterator[Piece] | None = pieces
        self._hear = hear
        self._advance = advance
        self._language = language
        self._size = size
        self._active: list[Clip] = []
        self.recorded: dict[int, Recorded] = {}

    def run(self) -> Mapping[int, Recorded]:
        """What was heard in each recording. Raises what leaves the device unusable."""
        try:
            while self._fill():
                self._step()
        finally:
            self._close()
        return self.recorded

    def _fill(self) -> bool:
        while self._pieces is not None and self._held() < self._size:
            piece = next(self._pieces, None)
            if piece is None:
                self._pieces = None
                break
            recorded = self.recorded.setdefault(piece.item, Recorded(self._language))
            if piece.error is not None:
                self._fail(piece.item, piece.error)
            elif piece.value is not None:
                self._enter(piece.item, recorded, piece.value)
        return bool(self._active)

    def _held(self) -> int:
        return len(self._active) + sum(len(one.waiting) for one in self.recorded.values())

    def _enter(self, item: int, recorded: Recorded, clip: Clip) -> None:
        clip.item = item
        if recorded.failed is not None:
            clip.close()
        elif recorded.language is None and any(other.item == item for other in self._active):
            recorded.waiting.append(clip)
        else:
            self._active.append(clip)

    def _step(self) -> None:
        clips = self._active
        languages = [self.recorded[clip.item].language for clip in clips]
        done, failures = isolate(
            lambda part: self._hear([clips[i] for i in part], [languages[i] for i in part]),
            np.arange(len(clips)),
            code="forward_failed",
        )
        for i, error in failures.items():
            self._fail(clips[i].item, error)
        for part, found in done:
            for i, heard in zip(part.tolist(), found, strict=True):
                self._take(clips[i], heard)
        self._leave()

    def _take(self, clip: Clip, heard: Heard | RowError) -> None:
        recorded = self.recorded[clip.item]
        if isinstance(heard, RowError):
            self._fail(clip.item, heard)
        elif recorded.failed is None:
            self._advance(clip, heard)
            if not heard.silent and recorded.language is None:
                recorded.language = heard.language

    def _leave(self) -> None:
        """Ended clips give way to those that waited for them."""
        for clip in [clip for clip in self._active if clip.ended]:
            clip.close()
            self.recorded[clip.item].clips.append(clip)
        self._active = [clip for clip in self._active if not clip.ended]
        busy = {clip.item for clip in self._active}
        for item, one in self.recorded.items():
            ready = len(one.waiting) if one.language is not None else int(item not in busy)
            self._active += one.waiting[:ready]
            del one.waiting[:ready]

    def _fail(self, item: int, error: RowError) -> None:
        recorded = self.recorded[item]
        recorded.failed = recorded.failed or error
        for clip in [*recorded.waiting, *(clip for clip in self._active if clip.item == item)]:
            clip.close()
        recorded.waiting.clear()
        recorded.clips.clear()
        self._active = [clip for clip in self._active if clip.item != item]

    def _close(self) -> None:
        for clip in [*self._active, *(clip for one in self.recorded.values() for clip in one.waiting)]:
            clip.close()
