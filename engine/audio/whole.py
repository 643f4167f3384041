"""Whether a file holds what its container says: decoders read what is there of a broken-off one and say nothing.

RIFF and WAVE: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (1991), and for sizes
of 64 bits EBU Tech 3306. AIFF: Apple (1989). MP4: ISO/IEC 14496-12, 4.2. Ogg: RFC 3533, 6. Matroska: RFC 8794 and 9559.
A file whose writer could not know a size, as of a pipe, is taken as it is.
"""

from __future__ import annotations

import struct
from typing import Final

from engine.audio.watched import Watched
from engine.errors import RowError

#: A size from here on stands for one that was not known.
_UNKNOWN: Final = 0x7FFF0000
#: Bytes of an Ogg page at most.
_PAGE: Final = 27 + 255 + 255 * 255
_SEGMENT: Final = b"\x18\x53\x80\x67"


def check_whole(file: Watched) -> None:
    """Raises RowError(invalid_audio) for a file that breaks off, and a wav file that holds more than it says.

    Reads the headers of its parts and leaves the place at the start.
    """
    head = _at(file, 0, 12)
    if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
        _check_chunks(file, "<4sI", b"data")
    elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        _check_chunks(file, ">4sI", b"SSND")
    elif head[4:8] == b"ftyp":
        _check_boxes(file)
    elif head[:4] == b"OggS":
        _check_last_page(file)
    elif head[:4] == b"\x1a\x45\xdf\xa3":
        _check_segment(file)
    file.seek(0)


def tells_length(file: Watched) -> bool:
    """Whether an MP3 file has a frame that says how many frames follow (Xing's, or Info); leaves the place as it is."""
    place = file.tell()
    tag = _at(file, 0, 10)
    # ID3v2: a size of four times seven bits, its ten bytes not counted.
    start = 10 + sum(byte << 7 * (3 - i) for i, byte in enumerate(tag[6:])) if tag[:3] == b"ID3" else 0
    frame = _at(file, start, 64)
    file.seek(place)
    return b"Xing" in frame or b"Info" in frame


def _at(file: Watched, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)


def _check_chunks(file: Watched, layout: str, samples: bytes) -> None:
    at, wide = 12, None
    while at + 8 <= file.size:
        name, length = struct.unpack(layout, _at(file, at, 8).ljust(8))
        if name == b"ds64":  # sizes of the whole and of the samples, 64 bits each
            wide = struct.unpack("<8xQ", file.read(16).ljust(16))[0]
        if name == samples:
            _check_samples(file, at + 8, length if wide is None else wide)
            return
        at += 8 + length + length % 2


def _check_samples(file: Watched, start: int, length: int) -> None:
    if length == 0 or _UNKNOWN <= length <= 0xFFFFFFFF:
        return
    there = file.size - start
    if length > there:
        raise RowError("invalid_audio", f"expected {length} bytes of samples by its header, got {there}")
    behind = there - length
    after = _at(file, start + length + length % 2, 4)
    if behind > length and not after.strip().isalnum():  # no chunk: samples that the header does not tell of
        raise RowError("invalid_audio", f"expected {length} bytes of samples by its header, {behind} follow them")


def _check_boxes(file: Watched) -> None:
    at = 0
    while at + 8 <= file.size:
        length, _, wide = struct.unpack(">I4sQ", _at(file, at, 16).ljust(16, b"\0"))
        length = {0: file.size - at, 1: wide}.get(length, length)  # 0 reaches to the end, 1 has 64 bits
        if at + length > file.size:
            raise _broken_off()
        at += max(8, length)


def _check_last_page(file: Watched) -> None:
    tail = _at(file, max(0, file.size - _PAGE), _PAGE)
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]):
        raise _broken_off()


def _check_segment(file: Watched) -> None:
    head = _at(file, 0, 4096)
    at = head.find(_SEGMENT)
    if at < 0 or at + 12 > len(head):
        return
    first = head[at + 4]
    width = 9 - first.bit_length()  # of the size, in bytes: as many as there are zeros before the first one
    length = int.from_bytes(head[at + 4 : at + 4 + width], "big") & (1 << 7 * width) - 1
    unknown = length == (1 << 7 * width) - 1
    if not unknown and at + 4 + width + length > file.size:
        raise _broken_off()


def _broken_off() -> RowError:
    return RowError("invalid_audio", "expected the whole file, it breaks off: fetch it anew")
