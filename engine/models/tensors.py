"""safetensors files whose tensors lie at multiples of 64 bytes, so that a CPU computes on the mapping itself.

Format: https://github.com/huggingface/safetensors#format. It allows no holes, so the gaps are tensors of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ALIGNMENT: Final = 64
_PADDING: Final = "_padding."
_NAMES: Final = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


def write_tensors(tensors: Mapping[str, Any], path: Path) -> None:
    """Writes torch tensors, in the order given. Runs on the driver; one tensor at a time is copied."""
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in tensors.items():
        start = end
        end = start + tensor.numel() * tensor.element_size()
        dtype = _NAMES[str(tensor.dtype).removeprefix("torch.")]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [start, end]}
        gap = -end % ALIGNMENT
        if gap:
            header[f"{_PADDING}{name}"] = {"dtype": "U8", "shape": [gap], "data_offsets": [end, end + gap]}
            end += gap
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            size = file.write(_bytes(tensor))
            file.write(b"\0" * (-size % ALIGNMENT))


def map_tensors(path: Path) -> dict[str, Any]:
    """The tensors of a file, as views of its mapping: nothing is read before it is used."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys() if not name.startswith(_PADDING)}  # noqa: SIM118


def _bytes(tensor: Any) -> memoryview:
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return memoryview(flat.view(torch.uint8).numpy()) if flat.numel() else memoryview(b"")
