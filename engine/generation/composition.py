"""What the rows that run together ask for; made once for as long as the same rows do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.continuous.row import Row
from engine.generation.draws import Draws, draws
from engine.generation.edits import Edits
from engine.generation.masks import Masks


class Composition:
    """Rows in the order of their logits, and what is asked for them as tensors.

    Attributes:
        told: int64 [rows], the likeliest tokens that each wants to know.
        ends: int64 [rows], the first end token of each, -1 without one; on the device.
        greedy: bool [rows with a grammar], whether the likeliest token is taken.
    """

    def __init__(self, rows: Sequence[Row], size: int, device: Any, before: Composition | None) -> None:
        import torch

        asked = [row.prompt.decoding for row in rows]
        self.rows, self.size = list(rows), size
        self.told = np.array([one.top_logprobs or 0 for one in asked], np.int64)
        ends = [next((end for end in one.ends if 0 <= end < size), -1) for one in asked]
        self.ends = torch.tensor(ends, dtype=torch.int64, device=device)
        self.edits: Edits = Edits(rows, size, device, before.edits.by_row if before and before.size == size else {})
        self.masks: Masks = Masks(rows, size, device, before.masks if before else None)
        self.draws = Draws(rows, size, device)
        self.greedy = np.array([not draws(asked[at]) for at in self.masks.at], bool)
