"""What one window cost, as numbers that can be summed over windows, workers and commits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from engine.schema import STATS


@dataclass(slots=True)
class Stats:
    """The fields of ``engine.schema.STATS``, where each is described; seconds are wall time of one worker."""

    rows: int = 0
    nulls: int = 0
    failed: int = 0
    duplicates: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    written_tokens: int = 0
    batches: int = 0
    audio_s: float = 0.0
    load_s: float = 0.0
    encode_s: float = 0.0
    forward_s: float = 0.0
    decode_s: float = 0.0

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Adds the wall time of the block to ``<phase>_s``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            name = f"{phase}_s"
            setattr(self, name, getattr(self, name) + time.perf_counter() - start)

    def column(self, rows: int) -> pa.StructArray:
        """A STATS column of that many rows: these stats on the first row, null on the others."""
        values: list[dict[str, Any] | None] = [asdict(self)]
        return pa.concat_arrays([pa.array(values, STATS), pa.nulls(rows - 1, STATS)])
