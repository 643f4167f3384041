"""Whether a file holds what its containers say: decoders read what is there of a broken-off one and say nothing.

RIFF and WAVE: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (1991); its sizes of
64 bits: EBU Tech 3306 (RF64). MP4 boxes: ISO/IEC 14496-12, 4.2. Other formats carry no such sizes, or a decoder tells.
"""

from __future__ import annotations

import struct
from typing import Final

from engine.audio.watched import Watched
from engine.errors import RowError

#: A size from here on stands for one that its writer could not know, as of a pipe.
_UNKNOWN: Final = 0x7FFF0000


def check_whole(file: Watched) -> None:
    """Raises RowError(invalid_audio) for a wav or MP4 file that breaks off, or holds more than it says.

    Reads the headers of its chunks and leaves the place at the start.
    """
    head = file.read(12)
    if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
        _check_wave(file)
    elif head[4:8] == b"ftyp":
        _check_boxes(file)
    file.seek(0)


def _check_wave(file: Watched) -> None:
    at, wide = 12, None
    while at + 8 <= file.size:
        file.seek(at)
        name, length = struct.unpack("<4sI", file.read(8).ljust(8))
        if name == b"ds64":  # sizes of the whole and of the samples, 64 bits each
            wide = struct.unpack("<8xQ", file.read(16).ljust(16))[0]
        if name == b"data":
            _check_data(file, at + 8, length if wide is None else wide)
            return
        at += 8 + length + length % 2


def _check_data(file: Watched, start: int, length: int) -> None:
    if length == 0 or _UNKNOWN <= length <= 0xFFFFFFFF:
        return
    if start + length > file.size:
        raise RowError("invalid_audio", f"expected {length} bytes of samples by its header, got {file.size - start}")
    behind = file.size - start - length
    file.seek(start + length + length % 2)
    if behind > length and not file.read(4).strip().isalnum():  # no chunk: samples that the header does not tell of
        raise RowError("invalid_audio", f"expected {length} bytes of samples by its header, {behind} follow them")


def _check_boxes(file: Watched) -> None:
    at = 0
    while at + 8 <= file.size:
        file.seek(at)
        length, _, wide = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
        length = {0: file.size - at, 1: wide}.get(length, length)  # 0 reaches to the end, 1 has 64 bits
        if at + length > file.size:
            raise RowError("invalid_audio", "expected the whole file, it breaks off within a box: fetch it anew")
        at += max(8, length)
