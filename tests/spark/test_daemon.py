"""The process that workers fork from: what they share with it, and what they must not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from udfs import score

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

pytestmark = pytest.mark.spark


@pytest.fixture(autouse=True)
def of_their_own(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark keeps workers of other environments apart: those of tests before may have lost their daemon."""
    monkeypatch.setitem(spark.sparkContext.environment, "EMBERCAST_TEST", "daemon")


def _look(batches: Iterator[Any]) -> Iterator[Any]:
    """What a worker shows of itself and of its parent. The worker imports this from the checkout."""
    import random
    import sys

    import pyarrow as pa
    from pyspark import BarrierTaskContext

    had = "torch" in sys.modules
    import numpy as np

    parent = Path(f"/proc/{os.getppid()}")
    status = dict(line.split(":", 1) for line in (parent / "status").read_text().splitlines())
    lines = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]]
    seen = {
        "pid": os.getpid(),
        "daemon": os.getppid(),
        "command": (parent / "cmdline").read_bytes().decode().split("\0")[1:3],
        "threads": int(status["Threads"]),
        "had": had,
        "drawn": [float(np.random.rand()), random.random()],
        "private": sum(int(line[1]) << 10 for line in lines if line[0].startswith("Private")),
    }
    for batch in batches:
        if batch.num_rows:
            BarrierTaskContext.get().barrier()  # each of two tasks has a worker of its own
            yield pa.RecordBatch.from_pylist([seen] * batch.num_rows)


SEEN = "pid LONG, daemon LONG, command ARRAY<STRING>, threads LONG, had BOOLEAN, drawn ARRAY<DOUBLE>, private LONG"


def look(spark: SparkSession) -> list[Row]:
    return spark.range(2, numPartitions=2).mapInArrow(_look, SEEN, barrier=True).collect()


def test_workers_fork_from_a_process_that_has_torch(spark: SparkSession) -> None:
    one, other = look(spark)
    assert one.pid != other.pid
    assert one.daemon == other.daemon
    assert one.command == ["-m", "udfs.daemon"]
    assert one.had
    assert other.had
    assert one.threads == 1  # a fork leaves all others behind


def test_workers_draw_numbers_of_their_own(spark: SparkSession) -> None:
    one, other = look(spark)
    assert one.drawn[0] != other.drawn[0]
    assert one.drawn[1] != other.drawn[1]


def test_what_workers_import_they_share(spark: SparkSession, sentiment: Path) -> None:
    """Alone a worker that scores holds about 460 MiB for itself."""
    df = spark.createDataFrame([("a good day",)] * 2, "body STRING").repartition(2)
    assert score(df, model=str(sentiment), input="body", output="s").where("s.error IS NULL").count() == 2
    assert max(row.private for row in look(spark)) < 250 << 20
