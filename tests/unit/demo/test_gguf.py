from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from demo import gguf, smollm


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _file(path: Path, *, kind: int, data: bytes, shape: tuple[int, ...], version: int = 3) -> Path:
    values = _string("a.count") + struct.pack("<II", 4, 7)
    values += _string("a.words") + struct.pack("<IIQ", 9, 8, 2) + _string("grün") + _string("")
    values += _string("a.yes") + struct.pack("<I?", 7, True)
    tensor = _string("one.weight") + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], kind, 32)
    head = struct.pack("<4sIQQ", b"GGUF", version, 1, 3) + values + tensor
    path.write_bytes(head + b"\0" * (-len(head) % 32) + b"\xff" * 32 + data)  # what lies before the offset is skipped
    return path


def test_values_are_read_by_their_kinds(tmp_path: Path) -> None:
    data = np.arange(6, dtype="<f4").tobytes()
    found = gguf.read(_file(tmp_path / "a.gguf", kind=0, data=data, shape=(2, 3)))
    assert found.values == {"a.count": 7, "a.words": ["grün", ""], "a.yes": True}
    assert np.array_equal(found.tensors["one.weight"], np.arange(6, dtype=np.float32).reshape(2, 3))


def test_blocks_are_unpacked_by_hand(tmp_path: Path) -> None:
    low, high = np.arange(16, dtype=np.uint8), 15 - np.arange(16, dtype=np.uint8)
    data = np.array([0.5, -2.0], "<f2").tobytes() + (low | high << 4).tobytes()
    found = gguf.read(_file(tmp_path / "q4.gguf", kind=3, data=data, shape=(1, 32))).tensors["one.weight"]
    assert found.dtype == np.float32
    assert np.array_equal(found[0], 0.5 * np.concatenate([low, high]) - 2.0)
    signed = np.arange(-16, 16, dtype=np.int8)
    data = np.array([0.25], "<f2").tobytes() + signed.tobytes()
    found = gguf.read(_file(tmp_path / "q8.gguf", kind=8, data=data, shape=(32,))).tensors["one.weight"]
    assert np.array_equal(found, 0.25 * signed)


def test_another_version_or_kind_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a GGUF file of version 3, got b'GGUF' of 2"):
        gguf.read(_file(tmp_path / "old.gguf", kind=0, data=b"\0" * 4, shape=(1,), version=2))
    with pytest.raises(ValueError, match="expected weights of the kinds 0, 3, 8 of ggml, got 12"):
        gguf.read(_file(tmp_path / "k.gguf", kind=12, data=b"\0" * 144, shape=(256,)))


@pytest.mark.weights
def test_a_package_is_read_as_its_own_library_reads_it() -> None:
    from gguf import GGUFReader, dequantize

    found = gguf.read(smollm.package())
    tensors = {one.name: one for one in GGUFReader(smollm.package()).tensors}
    assert found.tensors.keys() == tensors.keys()
    for name in ("token_embd.weight", "blk.0.attn_q.weight", "blk.29.ffn_down.weight", "output_norm.weight"):
        assert np.array_equal(found.tensors[name], dequantize(tensors[name].data, tensors[name].tensor_type))
