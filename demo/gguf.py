"""A GGUF file, as values and arrays: version 3 of the format, with the kinds of weights that SmolLM2's has.

Source: ggml's docs/gguf.md and its ggml-quants.c, by which a block of 32 weights is a scale, for some kinds a least
value, and small integers. transformers reads such files too, but takes half a minute over one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

#: The version of the format that is read.
VERSION: Final = 3
_BLOCK: Final = 32
_STRING: Final = 8
_ARRAY: Final = 9
#: By the number that stands for a kind of value, as ``struct`` names it.
_NUMBERS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

Array = np.ndarray[Any, Any]


class File(NamedTuple):
    """What a file says: values by key, and every tensor by name, float32, in the shape that transformers gives it."""

    values: Mapping[str, Any]
    tensors: Mapping[str, Array]


class _Cursor:
    """A place in the file's bytes, behind which is read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def numbers(self, kinds: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{kinds}", self.data, self.at)
        self.at += struct.calcsize(f"<{kinds}")
        return found

    def string(self) -> str:
        (size,) = self.numbers("Q")
        self.at += size
        return self.data[self.at - size : self.at].decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            of, count = self.numbers("IQ")
            return [self.value(of) for _ in range(count)]
        return self.numbers(_NUMBERS[kind])[0]


def read(path: Path) -> File:
    """The file's values and its tensors, dequantised. Raises ValueError for another version or kind of weights."""
    cursor = _Cursor(path.read_bytes())
    magic, version, count, values = cursor.numbers("4sIQQ")
    if (magic, version) != (b"GGUF", VERSION):
        raise ValueError(f"expected a GGUF file of version {VERSION}, got {magic!r} of {version}: {path.name}")
    told = {}
    for _ in range(values):
        name = cursor.string()
        told[name] = cursor.value(*cursor.numbers("I"))
    found = [_described(cursor) for _ in range(count)]
    step = told.get("general.alignment", 32)
    start = -(-cursor.at // step) * step
    return File(told, {name: _weights(cursor.data, start + at, kind, shape) for name, shape, kind, at in found})


def _described(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    """A tensor's name, shape, kind, and where it starts."""
    name = cursor.string()
    (rank,) = cursor.numbers("I")
    shape = cursor.numbers(f"{rank}Q")[::-1]
    kind, at = cursor.numbers("IQ")
    return name, shape, kind, at


def _weights(data: bytes, at: int, kind: int, shape: tuple[int, ...]) -> Array:
    if kind not in _KINDS:
        raise ValueError(f"expected weights of the kinds {', '.join(map(str, _KINDS))} of ggml, got {kind}")
    fields, unpacked, block = _KINDS[kind]
    blocks = np.frombuffer(data, np.dtype(fields), count=prod(shape) // block, offset=at)
    return unpacked(blocks).reshape(shape)


def _q4_1(blocks: Array) -> Array:
    """A byte holds a weight of the block's first half in its low bits, and one of the second half above them."""
    whole = np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1).astype(np.float32)
    return whole * blocks["d"].astype(np.float32) + blocks["m"].astype(np.float32)


def _q8_0(blocks: Array) -> Array:
    return blocks["q"].astype(np.float32) * blocks["d"].astype(np.float32)


#: By the number of a kind: a block's fields, how it is unpacked (float32 [blocks, weights]), and its weights.
_KINDS: Final[Mapping[int, tuple[Any, Callable[[Array], Array], int]]] = {
    0: ("<f4", np.copy, 1),
    3: ([("d", "<f2", (1,)), ("m", "<f2", (1,)), ("q", "u1", (_BLOCK // 2,))], _q4_1, _BLOCK),
    8: ([("d", "<f2", (1,)), ("q", "i1", (_BLOCK,))], _q8_0, _BLOCK),
}
