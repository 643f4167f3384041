"""A file that decoders read from C, where an exception is lost: it would look as if the recording ended there."""

from __future__ import annotations

import io
from typing import BinaryIO

from engine.errors import RowError


class Watched:
    """A seekable file whose errors are kept for ``check``. It has no name: what it holds is told by its content.

    Raises RowError(unreadable) where its size can't be told.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: Exception | None = None
        self._at = 0
        try:
            self.size = file.seek(0, io.SEEK_END)
        except Exception as error:
            self._error = error
            self.check()
        self._place = self.size

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none at the end, and none where reading fails."""
        if self._at >= self.size or self._error is not None:
            return b""
        try:
            if self._place != self._at:
                self._file.seek(self._at)
            data = self._file.read(size)
        except Exception as error:
            self._error = error
            return b""
        self._at += len(data)
        self._place = self._at
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """The next bytes into ``buffer``; returns how many."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes there, whether the file is that long or not; returns the place."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        """The place in the file, bytes."""
        return self._at

    def check(self) -> None:
        """Raises RowError(unreadable) where reading has failed."""
        if self._error is not None:
            raise RowError("unreadable", f"reading the file raised {type(self._error).__name__}: try again")
