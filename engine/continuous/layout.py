"""What one token's keys and values look like in a model, and how many of them there is room for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

#: The part of the memory that is free which keys and values may take, and what a process takes of it at most where
#: nothing else bounds it: more rows than that holds gain nothing on a CPU.
_SHARE: Final = {"cpu": 0.5, "cuda": 0.85}
_MOST_ON_CPU: Final = 8 << 30


class Layer(NamedTuple):
    """Heads and sizes of the keys and values of a layer."""

    heads: int
    key: int
    value: int


@dataclass(frozen=True)
class Layout:
    """The keys and values of a model.

    Args:
        layers: by index.
        dtype: of torch.
        device: cpu or cuda:N.
        longest: tokens of a text up to which the model reads it alike whatever runs beside it; None for any number.
    """

    layers: tuple[Layer, ...]
    dtype: Any
    device: str
    longest: int | None = None

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's keys and values in all layers."""
        numbers = sum(layer.heads * (layer.key + layer.value) for layer in self.layers)
        return int(numbers * self.dtype.itemsize)

    def buffers(self, *shape: int) -> list[tuple[Any, Any]]:
        """For every layer keys and values [*rows, heads, tokens, size] for ``shape`` = (*rows, tokens), zero.

        Zeros that nobody has written take no memory on a CPU; and a value that is masked must not be NaN.
        """
        import torch

        *rows, tokens = shape
        return [
            tuple(
                torch.zeros(*rows, layer.heads, tokens, size, dtype=self.dtype, device=self.device)
                for size in (layer.key, layer.value)
            )
            for layer in self.layers
        ]

    def room(self, workers: int) -> int:
        """Tokens that there is memory for, where so many workers share the host."""
        share = _SHARE["cuda" if self.device.startswith("cuda") else "cpu"]
        return int(share * self._free(workers)) // self.token_bytes

    def _free(self, workers: int) -> float:
        import torch

        if self.device.startswith("cuda"):
            device = torch.device(self.device)
            # What an earlier call gave back lies with torch's allocator, which the device does not count as free.
            kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            return float(torch.cuda.mem_get_info(device)[0] + kept)
        return min(available() / max(1, workers), _MOST_ON_CPU)


def available() -> int:
    """Bytes of memory that this host, or the control group that the process runs in, has left."""
    import psutil

    return int(min(psutil.virtual_memory().available, _left_in_group()))


def _left_in_group() -> float:
    from pathlib import Path

    group = Path("/sys/fs/cgroup")
    most, used = group / "memory.max", group / "memory.current"
    if not most.exists() or (limit := most.read_text().strip()) == "max":
        return float("inf")
    return max(0, int(limit) - int(used.read_text()))
