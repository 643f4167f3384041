"""One size by one way, in a process of its own: ``python -m benchmarks.weights.way '{…}'`` prints JSON last."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.watched import watched
from benchmarks.weights import memory
from benchmarks.weights.hosts import OnHosts


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Times in seconds, memory in bytes.

    Args:
        spec: ``model`` (a folder), ``home`` (a folder for caches and a shared path), ``shared`` (whether the weights go
            by it), ``hosts`` and ``executors`` a host, ``heap`` of the driver.
    """
    from engine.models.bundle import make_bundle
    from engine.models.registry import resolve
    from engine.options import Compute
    from udfs import score
    from udfs.scoring import prepare

    home = Path(spec["home"])
    os.environ["EMBERCAST_CACHE"] = str(home / "driver")
    clock = time.perf_counter
    found: dict[str, Any] = {}
    spark = session(spec)
    executors = spec["hosts"] * spec["executors"]
    jvm = spark.sparkContext._gateway.proc.pid
    start = clock()
    spark.range(executors, numPartitions=executors).mapInArrow(idle, "pid LONG").collect()
    found["workers_s"] = clock() - start
    import transformers.modeling_utils  # noqa: F401  what loading a model imports is no part of the model

    with watched(memory.anonymous, every=0.01) as seen:
        start = clock()
        made = make_bundle(resolve(spec["model"]), spec["dtype"])
        found |= {"bytes": made.nbytes, "bundled_s": clock() - start}
        start = clock()
        shared = str(home / "shared") if spec["shared"] else None
        model = prepare(spark, spec["model"], compute=Compute(dtype=spec["dtype"]), weights_path=shared)
        found["sent_s"] = clock() - start
    found |= {"driver_python_bytes": max(seen) - seen[0], "driver_jvm_most_bytes": memory.highest(jvm)}
    model = replace(model, weights=OnHosts(model.weights, home, spec["hosts"]))
    start = clock()
    rows = (
        spark.range(2 * executors, numPartitions=2 * executors).mapInArrow(finds(model.weights), "s DOUBLE").collect()
    )
    found |= {"on_all_hosts_s": clock() - start, "unpacked_s": max(row.s for row in rows)}
    texts = spark.createDataFrame([("the first row",)], "body STRING").coalesce(1)
    for name in ("first_row_s", "second_row_s"):
        start = clock()
        assert score(texts, model=model, input="body", output="s").where("s.error IS NULL").count() == 1
        found[name] = clock() - start
    spark.stop()
    return found


def session(spec: dict[str, Any]) -> Any:
    from pyspark.sql import SparkSession

    executors = spec["hosts"] * spec["executors"]
    if spec["shared"]:
        (Path(spec["home"]) / "shared").mkdir()
    builder = SparkSession.builder.master(f"local-cluster[{executors},1,1024]").appName("weights")
    for name, value in {
        "driver.memory": spec["heap"],
        "executor.memory": "1g",
        "local.dir": str(Path(spec["home"]) / "spark"),
        "ui.enabled": "false",
        "ui.showConsoleProgress": "false",
        "locality.wait": "0",
        "scheduler.minRegisteredResourcesRatio": "1.0",
        "scheduler.maxRegisteredResourcesWaitingTime": "300s",
        "python.daemon.module": "udfs.daemon",
    }.items():
        builder = builder.config(f"spark.{name}", value)
    return builder.getOrCreate()


def idle(batches: Iterator[Any]) -> Iterator[Any]:
    """Starts a worker."""
    import pyarrow as pa

    for batch in batches:
        time.sleep(0.5)
        yield pa.record_batch({"pid": [os.getpid()] * batch.num_rows})


def finds(weights: OnHosts) -> Any:
    """A task that finds the weights, and says how long that took."""

    def find(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for batch in batches:
            start = time.perf_counter()
            weights.folder()
            yield pa.record_batch({"s": [time.perf_counter() - start] * batch.num_rows})

    return find


if __name__ == "__main__":
    from benchmarks.weights import way  # as the executors know it

    print(json.dumps(way.main(json.loads(sys.argv[1]))), flush=True)
