"""Scores a partition of distinct texts with a task that keeps nothing, and prints the bytes it took at most."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from engine.options import Compute, Request
from engine.scorer import Scorer
from engine.tasks.base import Encoded
from tests.fakes import FakeTask

TEXT_BYTES: Final = 4096
WINDOW_ROWS: Final = 2048
WINDOW_BYTES: Final = WINDOW_ROWS * TEXT_BYTES  # 8 MiB


class ForgetfulTask(FakeTask):
    """A fake that does not remember what it was given."""

    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        self.encoded.clear()
        self.batches.clear()
        return super().encode(inputs, params)


def partition(windows: int) -> Iterator[pa.RecordBatch]:
    """Batches of a quarter of a window, each made when it is asked for, as Spark sends them."""
    rows = WINDOW_ROWS // 4
    for start in range(0, windows * WINDOW_ROWS, rows):
        yield pa.record_batch({"text": [f"{i:0{TEXT_BYTES}}" for i in range(start, start + rows)]})


def peak() -> int:
    """The most memory this process had so far, bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def main(windows: int) -> None:
    request = Request(inputs={"text": "text"}, params={"top_k": 8})
    scorer = Scorer(
        ForgetfulTask(),
        request,
        batch_tokens=2 * TEXT_BYTES,
        compute=Compute(window_rows=WINDOW_ROWS, window_bytes=1 << 30),
    )
    rows = sum(scored.stats.rows - scored.stats.failed for scored in scorer.score(partition(windows)))
    if rows != windows * WINDOW_ROWS:
        raise SystemExit(f"expected {windows * WINDOW_ROWS} scored rows, got {rows}")
    print(peak())


if __name__ == "__main__":
    main(int(sys.argv[1]))
