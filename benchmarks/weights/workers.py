"""Workers that fork from ``udfs.daemon`` or import for themselves: ``python -m benchmarks.weights.workers '{…}'``."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.weights import memory


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Times in seconds from a session that has started, memory in bytes once every worker has scored.

    Args:
        spec: ``model`` (a folder), ``home`` (for the cache), ``daemon`` (the module), ``workers`` at once.
    """
    from pyspark.sql import SparkSession

    from engine.options import Compute
    from udfs import score
    from udfs.scoring import prepare

    os.environ["EMBERCAST_CACHE"] = f"{spec['home']}/driver"
    workers = spec["workers"]
    builder = SparkSession.builder.master(f"local[{workers}]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    spark = builder.config("spark.python.daemon.module", spec["daemon"]).getOrCreate()
    texts = spark.createDataFrame([(f"text {i}",) for i in range(workers)], "body STRING").repartition(workers)
    texts.count()
    start = time.perf_counter()
    model = prepare(spark, spec["model"], compute=Compute(dtype="float32"))
    prepared = time.perf_counter() - start
    times = []
    for _ in range(2):
        start = time.perf_counter()
        score(texts, model=model, input="body", output="s").where("s.error IS NULL").count()
        times.append(time.perf_counter() - start)
    rows = spark.range(workers, numPartitions=workers).mapInArrow(look, "private LONG, pss LONG, daemon LONG").collect()
    daemon = memory.shares(rows[0].daemon)
    spark.stop()
    return {
        "daemon": spec["daemon"],
        "prepared_s": prepared,
        "first_rows_s": times[0],
        "next_rows_s": times[1],
        "worker_private_bytes": max(row.private for row in rows),
        "daemon_private_bytes": daemon["private"],
        "all_pss_bytes": daemon["pss"] + sum(row.pss for row in rows),
    }


def look(batches: Iterator[Any]) -> Iterator[Any]:
    """What a worker holds, while the others are there too."""
    import pyarrow as pa

    for batch in batches:
        time.sleep(1)
        found = {**memory.shares(), "daemon": os.getppid()}
        yield pa.RecordBatch.from_pylist([found] * batch.num_rows)


if __name__ == "__main__":
    from benchmarks.weights import workers  # as the workers know it

    print(json.dumps(workers.main(json.loads(sys.argv[1]))), flush=True)
