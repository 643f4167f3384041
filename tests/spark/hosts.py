"""Two executors a host, of several hosts, get one bundle; run in a process of its own, prints what they did as JSON.

A host is what has a cache: here each pair of executors has one, named by their numbers.

    python -m tests.spark.hosts FOLDER_OF_A_BUNDLE FOLDER_FOR_THE_HOSTS
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from tests.whole import WHOLE

HOSTS: Final = 4 if WHOLE else 2
EXECUTORS: Final = 2 * HOSTS
#: What an executor's log says of a broadcast that it has fetched.
FETCHED: Final = "Reading broadcast variable {} took"


def main(folder: Path, home: Path) -> None:
    from pyspark.sql import SparkSession

    from demo.place import BRIEF_JVM
    from engine.models.bundle import Bundle
    from engine.models.manifest import Manifest
    from udfs import broadcast

    broadcast.SHARD_BYTES = 16 << 10  # so that a small bundle has several
    builder = SparkSession.builder.master(f"local-cluster[{EXECUTORS},1,512]")
    for name, value in {
        "driver.memory": "512m",
        "executor.memory": "512m",
        "executor.extraJavaOptions": BRIEF_JVM,
        "ui.enabled": "false",
        "locality.wait": "0",
        "scheduler.minRegisteredResourcesRatio": "1.0",  # all executors are there before the first task
        "scheduler.maxRegisteredResourcesWaitingTime": "120s",
    }.items():
        builder = builder.config(f"spark.{name}", value)
    spark = builder.getOrCreate()
    sent = broadcast.broadcast(spark.sparkContext, Bundle(folder, Manifest.read(folder)))
    weights = Counting(**{one.name: getattr(sent, one.name) for one in fields(sent)}, home=home)
    asked = spark.range(EXECUTORS, numPartitions=EXECUTORS).mapInArrow(task(weights), "seen STRING", barrier=True)
    rows = [row for _ in range(2) for row in asked.collect()]  # the second time all have them
    variables = [shard._jbroadcast.id() for shard in sent.shards]
    seen = [json.loads(row.seen) for row in rows]
    logs = {(one["executor"], Path(one["runs_in"]) / "stderr") for one in seen}
    fetched = {
        executor: [log.read_text().count(FETCHED.format(variable)) for variable in variables] for executor, log in logs
    }
    spark.stop()
    shutil.rmtree(Path(seen[0]["runs_in"]).parent)
    unpacked = (home / "unpacked").read_text().splitlines()
    print(json.dumps({"seen": seen, "fetched": fetched, "unpacked": unpacked}))


def task(weights: Any) -> Any:
    """Finds the weights, as often as tasks run on an executor."""

    def find(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa
        from pyspark import BarrierTaskContext

        executor = int(Path.cwd().name)
        os.environ["EMBERCAST_CACHE"] = str(weights.home / f"host-{executor % HOSTS}")
        for batch in batches:
            if batch.num_rows:
                path = weights.folder()
                BarrierTaskContext.get().barrier()  # so that no executor does the work of another
                seen = {"executor": executor, "inode": (path / "model.safetensors").stat().st_ino}
                yield pa.record_batch({"seen": [json.dumps({**seen, "folder": str(path), "runs_in": str(Path.cwd())})]})

    return find


def counting() -> type:
    from udfs.broadcast import BroadcastWeights

    @dataclass(frozen=True, kw_only=True)
    class Counting(BroadcastWeights):
        """Notes who unpacks."""

        home: Path

        def _unpack(self, into: Path) -> None:
            with (self.home / "unpacked").open("a") as file:
                file.write(f"{os.environ['EMBERCAST_CACHE']}\n")
            super()._unpack(into)

    return Counting


Counting: Final = counting()

if __name__ == "__main__":
    from tests.spark import hosts  # as the executors know it

    hosts.main(Path(sys.argv[1]), Path(sys.argv[2]))
