"""Files of tensors: what is written comes back bit for bit, each tensor at a multiple of 64 bytes."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from engine.models.tensors import ALIGNMENT, map_tensors, write_tensors

DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


def header(path: Path) -> tuple[int, dict[str, Any]]:
    """Where the data begins, and the header before it."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        return 8 + size, json.loads(file.read(size))


def some() -> dict[str, Any]:
    """Tensors of every dtype, of odd sizes, empty, without dimensions, and not contiguous."""
    made = {name: torch.arange(35).reshape(5, 7).to(getattr(torch, name)) for name in DTYPES}
    made |= {"empty": torch.zeros(0, 3), "scalar": torch.tensor(1.5), "turned": torch.arange(6.0).reshape(2, 3).T}
    return made


def test_every_dtype_comes_back_bit_for_bit(tmp_path: Path) -> None:
    write_tensors(some(), tmp_path / "x.safetensors")
    found = map_tensors(tmp_path / "x.safetensors")
    assert found.keys() == some().keys()
    for name, tensor in some().items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_every_tensor_lies_at_a_multiple_of_64_bytes(tmp_path: Path) -> None:
    write_tensors(some(), tmp_path / "x.safetensors")
    start, entries = header(tmp_path / "x.safetensors")
    own = [entry for name, entry in entries.items() if not name.startswith("_padding.")]
    assert len(own) == len(some())
    assert {(start + entry["data_offsets"][0]) % ALIGNMENT for entry in own} == {0}
    assert all(tensor.data_ptr() % ALIGNMENT == 0 for tensor in map_tensors(tmp_path / "x.safetensors").values())


def test_the_file_has_no_holes_and_any_reader_takes_it(tmp_path: Path) -> None:
    write_tensors(some(), tmp_path / "x.safetensors")
    start, entries = header(tmp_path / "x.safetensors")
    offsets = sorted(entry["data_offsets"] for entry in entries.values())
    assert all(one[1] == following[0] for one, following in pairwise(offsets))
    assert start + offsets[-1][1] == (tmp_path / "x.safetensors").stat().st_size
    with safe_open(tmp_path / "x.safetensors", framework="pt") as file:
        assert torch.equal(file.get_tensor("bfloat16"), some()["bfloat16"])


def test_no_tensors_make_a_file_too(tmp_path: Path) -> None:
    write_tensors({}, tmp_path / "x.safetensors")
    assert map_tensors(tmp_path / "x.safetensors") == {}


def test_a_write_to_a_mapped_tensor_stays_in_its_process(tmp_path: Path) -> None:
    """The file is every worker's model: a stray write must not reach it."""
    path = tmp_path / "x.safetensors"
    write_tensors(some(), path)
    before = path.read_bytes()
    mapped = map_tensors(path)
    mapped["float32"].fill_(-1.0)
    assert mapped["float32"].unique().tolist() == [-1.0]
    assert path.read_bytes() == before
    assert torch.equal(map_tensors(path)["float32"], some()["float32"])
