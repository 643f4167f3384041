"""What a cell of an audio column is: bytes, base64, a path or samples, not yet decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa

from engine.audio.limits import Limits
from engine.audio.stream import Samples, Stream
from engine.errors import RowError


class Recording(ABC):
    """A recording that can be opened, several times if need be."""

    @abstractmethod
    def blocks(self, rate: int, channel: int | None, limits: Limits) -> Iterator[Samples]:
        """Its samples in blocks of some seconds, float32 [samples], of one channel at ``rate``.

        Raises RowError for one that can't be read or passes the limits.
        """

    @contextmanager
    def open(self, rate: int, channel: int | None, limits: Limits) -> Iterator[Stream]:
        """The recording as a stream. Runs in a reader thread."""
        blocks = self.blocks(rate, channel, limits)
        try:
            yield Stream(blocks, rate)
        finally:
            blocks.close()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Encoded(Recording):
    """A file's bytes."""

    data: bytes

    def blocks(self, rate: int, channel: int | None, limits: Limits) -> Iterator[Samples]:
        import soundfile
        import soxr

        with soundfile.SoundFile(BytesIO(self.data)) as file:
            resample = soxr.ResampleStream(file.samplerate, rate, 1)
            for block in file.blocks(blocksize=10 * file.samplerate, dtype="float32", always_2d=True):
                yield resample.resample_chunk(block.mean(axis=1))
            yield resample.resample_chunk(np.zeros(0, np.float32), last=True)


def recordings(column: pa.Array, rates: pa.Array | None, params: Any) -> list[Recording | RowError]:
    """The recordings of a column's rows; a RowError where a cell can be none. Nothing is decoded."""
    return [Encoded(value) for value in column.to_pylist()]
