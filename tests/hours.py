"""Hears the files it is given with the fake task, and prints the bytes of memory that took beyond a second's."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa

from engine.options import Request
from engine.scorer import Scorer
from tests.hearing import FakeHearing
from tests.memory import peak
from tests.recordings import RATE, noise, wav


def seconds(column: pa.Array, *, roots: list[str]) -> float:
    """Seconds of audio in the files of a column, all in one window."""
    request = Request(inputs={"audio": "audio"}, params={"roots": roots})
    scorer = Scorer(FakeHearing(), request, batch_tokens=4096)
    found = [row for one in scorer.score([pa.record_batch({"audio": column})]) for row in one.result.to_pylist()]
    wrong = [row["error"] for row in found if row["error"]]
    if wrong:
        raise SystemExit(f"expected no error, got {wrong[0]['code']}: {wrong[0]['message']}")
    return float(sum(row["duration_s"] for row in found))


def main(files: list[str]) -> None:
    seconds(pa.array([wav(noise(12, rate), rate) for rate in (RATE, 8000)], pa.binary()), roots=[])
    before = peak()
    heard = seconds(pa.array(files, pa.string()), roots=[str(Path(files[0]).parent)])
    if heard != 3600.0 * len(files):
        raise SystemExit(f"expected {len(files)} hours, got {heard} s")
    print(peak() - before)


if __name__ == "__main__":
    main(sys.argv[1:])
