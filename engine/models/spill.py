"""Weights that are cast or merged while they are loaded lie on the disk, not in the driver's memory.

transformers maps a checkpoint's tensors; those it has to change it makes anew, all of them before the first is written.
Here such a tensor is put into a file that is mapped and has no name any more: the operating system holds of it what it
has room for, and the disk has it back when the tensor goes. Runs on the driver.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

#: Smaller tensors stay where they are.
LARGE: Final = 1 << 20


@contextmanager
def spilled(folder: Path) -> Iterator[None]:
    """Within the block large CPU tensors that torch makes by casting, joining or copying lie in files of the folder.

    transformers loads tensor by tensor meanwhile: a thread of its own would not see this, and several hold several.
    """
    before = os.environ.get("HF_DEACTIVATE_ASYNC_LOAD")
    os.environ["HF_DEACTIVATE_ASYNC_LOAD"] = "1"
    try:
        with _mode(folder):
            yield
    finally:
        del os.environ["HF_DEACTIVATE_ASYNC_LOAD"]
        if before is not None:
            os.environ["HF_DEACTIVATE_ASYNC_LOAD"] = before


def _mode(folder: Path) -> Any:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    aten = torch.ops.aten
    new = {aten._to_copy.default, aten.clone.default, aten.cat.default, aten.stack.default}

    class Spilling(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = func(*args, **(kwargs or {}))
            if func not in new or made.device.type != "cpu" or made.nbytes < LARGE:
                return made
            return _onto_disk(made, folder)

    return Spilling()


def _onto_disk(tensor: Any, folder: Path) -> Any:
    import torch

    handle, name = tempfile.mkstemp(dir=folder, prefix=".spilled-")
    os.close(handle)
    try:
        mapped = torch.from_file(name, shared=True, size=tensor.numel(), dtype=tensor.dtype)
    finally:
        os.unlink(name)
    return mapped.view(tensor.shape).copy_(tensor)
