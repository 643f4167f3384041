from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from demo import ctranslate


def name(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def variable(text: str, array: np.ndarray, kind: int) -> bytes:
    shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
    return name(text) + shape + struct.pack("<BI", kind, array.nbytes) + array.tobytes()


def test_variables_and_aliases_are_read_as_they_were_written(tmp_path: Path) -> None:
    halves = np.array([[1.5, -2.0, 0.25], [3.0, 0.0, -0.5]], np.float16)
    heads, flag = np.array([6], np.int16), np.array(1, np.int8)
    head = struct.pack("<I", 6) + name("WhisperSpec") + struct.pack("<II", 3, 3)
    body = variable("a/weight", halves, 4) + variable("a/num_heads", heads, 2) + variable("flag", flag, 1)
    aliases = struct.pack("<I", 1) + name("b/weight") + name("a/weight")
    (tmp_path / "model.bin").write_bytes(head + body + aliases)
    found = ctranslate.read(tmp_path / "model.bin")
    assert list(found) == ["a/weight", "a/num_heads", "flag", "b/weight"]
    for value, expected in zip(found.values(), (halves, heads, flag, halves), strict=True):
        assert value.dtype == expected.dtype
        assert np.array_equal(value, expected)
        assert value.shape == expected.shape


def test_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(struct.pack("<I", 5))
    with pytest.raises(ValueError, match=r"expected a CTranslate2 file of format 6, got 5: model\.bin"):
        ctranslate.read(tmp_path / "model.bin")
