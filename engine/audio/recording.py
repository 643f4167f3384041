"""What a cell of an audio column is: a file's bytes, base64, a path or samples, not yet decoded."""

from __future__ import annotations

import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa

from engine.audio.decoding import decoded
from engine.audio.limits import Limits
from engine.audio.local import open_below
from engine.audio.roots import Roots
from engine.audio.sound import Sound, block_samples, heard
from engine.audio.storage import Storage, open_remote
from engine.audio.stream import Samples, Stream
from engine.errors import RowError


class Recording(ABC):
    """A recording that can be opened, several times if need be."""

    @abstractmethod
    def sound(self) -> AbstractContextManager[Sound]:
        """Its samples as they are decoded. Raises RowError for one that can't be read or is none."""

    @contextmanager
    def open(self, rate: int, channel: int | None, limits: Limits) -> Iterator[Stream]:
        """The recording as a stream of ``channel``, or of the mean of all, at ``rate``. Runs in a reader thread.

        Raises RowError for one that can't be read or is none, here or by ``Stream.read``.
        """
        with self.sound() as sound, closing(heard(sound, rate, channel, limits)) as blocks:
            yield Stream(blocks, rate)


class File(Recording):
    """A recording that is a file, wherever it lies."""

    @abstractmethod
    def file(self) -> AbstractContextManager[BinaryIO]:
        """Its bytes, seekable. Raises RowError where there are none to be read."""

    @contextmanager
    def sound(self) -> Iterator[Sound]:
        with self.file() as file, decoded(file) as sound:
            yield sound


@dataclass(frozen=True)
class Encoded(File):
    """A file's bytes, where they lie in the column."""

    data: pa.Buffer

    def file(self) -> AbstractContextManager[BinaryIO]:
        return cast(AbstractContextManager[BinaryIO], pa.BufferReader(self.data))


@dataclass(frozen=True)
class Base64(File):
    """A file's bytes as base64 (RFC 4648, 4), line breaks allowed; or a data: URI (RFC 2397) of it."""

    text: pa.Buffer

    def file(self) -> AbstractContextManager[BinaryIO]:
        text = bytes(self.text)
        if not text.isascii():
            checked_text(text)
            raise RowError("invalid_audio", "expected base64, got other text")
        if text[:5].lower() == b"data:":
            head, comma, text = text.partition(b",")
            if not comma or not head.lower().endswith(b";base64"):
                raise RowError("invalid_audio", "expected a data: URI of base64, got another")
        try:
            data = base64.b64decode(b"".join(text.split()), validate=True)
        except binascii.Error:
            raise RowError("invalid_audio", "expected base64, got other text") from None
        return cast(AbstractContextManager[BinaryIO], pa.BufferReader(data))


def checked_text(data: bytes) -> str:
    """The text of these bytes. Raises RowError(invalid_text) where they are not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RowError("invalid_text", "expected UTF-8 text, got other bytes: decode the column first") from None


@dataclass(frozen=True)
class Located(File):
    """A file that a path or URI names, read below the roots only."""

    path: pa.Buffer
    roots: Roots
    storage: Storage

    def file(self) -> AbstractContextManager[BinaryIO]:
        place = self.roots.place(checked_text(bytes(self.path)))
        if place.root.scheme == "file":
            return open_below(place.below, self.roots.folders)
        return open_remote(place, self.storage)


@dataclass(frozen=True)
class Sampled(Recording):
    """Samples of one channel, where they lie in the column: float32 or float64 [samples], at ``rate``."""

    values: pa.Array
    rate: float

    @contextmanager
    def sound(self) -> Iterator[Sound]:
        if self.values.null_count:
            raise RowError("invalid_audio", "expected samples that are numbers, got a null among them")
        yield Sound(self.rate, 1, self._blocks())

    def _blocks(self) -> Iterator[Samples]:
        samples: Any = self.values.to_numpy()
        size = block_samples(self.rate, 1)
        for start in range(0, len(samples), size):
            with np.errstate(over="ignore"):  # Inf is refused further on
                yield samples[start : start + size, None].astype(np.float32)
