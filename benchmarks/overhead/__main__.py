"""python -m benchmarks.overhead: rows per second and core through the engine without Spark and without a model.

A million short texts, all distinct, through windows, duplicates, micro-batches, the order restored and structs made.
Beside the clock's rows per second stand those per second of processor time, over all threads: a core's own.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.machine import machine, versions
from benchmarks.overhead.task import FakeClassification
from engine.options import Request
from engine.scorer import Scorer


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--batch-tokens", type=int, default=131_072, help="of a micro-batch: what a large GPU gets")
    parser.add_argument("--profile", action="store_true", help="print where the time of one more pass goes")
    asked = parser.parse_args(arguments)
    batches = short_texts(asked.rows)
    passes = [one_pass(batches, asked.batch_tokens) for _ in range(asked.runs)]
    report = {
        "benchmark": "overhead",
        "machine": machine(),
        "versions": versions(),
        "settings": {"rows": asked.rows, "runs": asked.runs, "batch_tokens": asked.batch_tokens},
        "rows_per_s": round(asked.rows / median(p["s"] for p in passes)),
        "rows_per_core_s": round(asked.rows / median(p["core_s"] for p in passes)),
        "passes": passes,
    }
    print(f"{report['rows_per_s']:,} rows/s, {report['rows_per_core_s']:,} rows/s and core")
    for phase in ("encode_s", "forward_s", "decode_s"):
        print(f"  {phase[:-2]:8} {median(p[phase] for p in passes):6.2f} s")
    if asked.profile:
        _profile(batches, asked.batch_tokens)
    print(json.dumps(report), flush=True)


def short_texts(rows: int) -> list[pa.RecordBatch]:
    """Distinct texts of 12 to 43 characters in batches of 10,000, as Spark sends them."""
    numbers = np.char.zfill(np.arange(rows).astype(str), 12)
    tails = np.array(["x" * n for n in range(32)])[np.random.default_rng(0).integers(0, 32, rows)]
    table = pa.table({"text": pa.array(np.char.add(numbers, tails), pa.string())})
    batches: list[pa.RecordBatch] = table.combine_chunks().to_batches(max_chunksize=10_000)
    return batches


def one_pass(batches: list[pa.RecordBatch], batch_tokens: int) -> dict[str, Any]:
    """Scores all batches. Returns seconds by the clock, of the processor (all threads) and of each phase."""
    scorer = Scorer(FakeClassification(), Request(inputs={"text": "text"}), batch_tokens=batch_tokens)
    clock, core = time.perf_counter(), time.process_time()
    stats = [scored.stats for scored in scorer.score(batches)]
    spent = {"s": time.perf_counter() - clock, "core_s": time.process_time() - core}
    expected = sum(batch.num_rows for batch in batches)
    if sum(s.rows for s in stats) != expected or any(s.failed for s in stats):
        raise AssertionError(f"expected {expected} rows without an error, got {sum(s.rows for s in stats)}")
    phases = {name: sum(getattr(s, name) for s in stats) for name in ("encode_s", "forward_s", "decode_s")}
    return {name: round(value, 4) for name, value in {**spent, **phases}.items()}


def _profile(batches: list[pa.RecordBatch], batch_tokens: int) -> None:
    """Where the time goes, in one thread: encoding first, so that the profiler sees it."""
    scorer = Scorer(FakeClassification(), Request(inputs={"text": "text"}), batch_tokens=batch_tokens)
    profiler = cProfile.Profile()
    profiler.enable()
    for batch in batches:
        work = scorer._encode(batch)
        scorer._forward(work)
        scorer._decode(work)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(18)


if __name__ == "__main__":
    main()
