"""The first seconds of a recording: what follows is not decoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.audio.stream import Samples, Stream

#: Seconds that are read at once.
_BLOCK_S: Final = 10


def first(stream: Stream, seconds: float) -> Stream:
    """A stream that ends after some seconds, whatever follows in the one that it reads. For a reader thread."""
    return Stream(_blocks(stream, max(1, round(seconds * stream.rate))), stream.rate)


def _blocks(stream: Stream, left: int) -> Iterator[Samples]:
    while left > 0:
        block = stream.read(min(left, _BLOCK_S * stream.rate))
        if not block.size:
            return
        left -= block.size
        yield block
