"""How much runs at once. Runs in the worker."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from engine.continuous.layout import Layout

#: On a CPU a product over 128 rows is about as efficient as over more; a GPU wants more of everything.
_ON_CPU: Final = (128, 256, 32)
_ON_GPU: Final = (512, 4096, 128)


@dataclass(frozen=True)
class Limits:
    """What a scheduler runs at once.

    Args:
        rows: that write or whose prompts are read.
        piece: tokens of prompts that a step reads.
        lane: rows of a lane.
        tokens: whose keys and values are held, of all rows together.
    """

    rows: int
    piece: int
    lane: int
    tokens: int

    @classmethod
    def of(cls, layout: Layout) -> Limits:
        """By the device, and by the memory that is free on it now."""
        on_gpu = layout.device.startswith("cuda")
        rows, piece, lane = _ON_GPU if on_gpu else _ON_CPU
        return cls(rows, piece, lane, layout.room(1 if on_gpu else _workers()))


def _workers() -> int:
    """Processes like this one that may share the host: one for as many cores as this one has threads."""
    import torch

    return max(1, (os.cpu_count() or 1) // int(torch.get_num_threads()))
