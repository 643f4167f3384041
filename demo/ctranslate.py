"""The weights file of CTranslate2, as arrays: model.bin of its format 6."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

#: The version of the format that is read: the first number of the file.
VERSION: Final = 6
#: By the number that stands for a type in the file.
_DTYPES: Final = (np.float32, np.int8, np.int16, np.int32, np.float16)


class _Cursor(NamedTuple):
    """A place in the file's bytes, behind which is read."""

    data: memoryview
    at: list[int]

    def numbers(self, kinds: str) -> tuple[Any, ...]:
        """Numbers, little-endian and unaligned, as ``struct`` names their kinds."""
        found = struct.unpack_from(f"<{kinds}", self.data, self.at[0])
        self.at[0] += struct.calcsize(f"<{kinds}")
        return found

    def taken(self, size: int) -> memoryview:
        """The next bytes, not copied."""
        self.at[0] += size
        return self.data[self.at[0] - size : self.at[0]]

    def name(self) -> str:
        """A string: its size with the closing zero byte, then its characters."""
        (size,) = self.numbers("H")
        return bytes(self.taken(size)[:-1]).decode("utf-8")


def read(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Every variable by its name, in the shape and type that it has in the file; an alias gives what it stands for.

    The file is: version, name of the model's specification and its revision, then variables (name, shape, type, bytes),
    then aliases (name, name of the variable). Source: ``ModelSpec._serialize`` in CTranslate2's specs/model_spec.py.

    Raises ValueError for another version of the format.
    """
    cursor = _Cursor(memoryview(path.read_bytes()), [0])
    (version,) = cursor.numbers("I")
    if version != VERSION:
        raise ValueError(f"expected a CTranslate2 file of format {VERSION}, got {version}: {path.name}")
    cursor.name()
    _, count = cursor.numbers("II")
    variables = dict(_variable(cursor) for _ in range(count))
    (aliases,) = cursor.numbers("I")
    for _ in range(aliases):
        alias = cursor.name()
        variables[alias] = variables[cursor.name()]
    return variables


def _variable(cursor: _Cursor) -> tuple[str, np.ndarray[Any, Any]]:
    name = cursor.name()
    (rank,) = cursor.numbers("B")
    shape = cursor.numbers(f"{rank}I")
    kind, size = cursor.numbers("BI")
    return name, np.frombuffer(cursor.taken(size), _DTYPES[kind]).reshape(shape)
