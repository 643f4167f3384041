"""The ways in Spark: each is a function of a session and a spec that gives a function of a DataFrame.

All read the same Parquet files (id, audio: binary), one a core, so that every core has a worker with one thread: more
threads a worker gain less than more workers do. All results are collected.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa

from benchmarks.audio.greedy import ENGINE
from benchmarks.audio.phases import summed
from benchmarks.audio.recordings import LONG
from benchmarks.audio.rivals import RIVALS
from benchmarks.audio.spec import Spec
from benchmarks.text.spark import session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: A table of recordings, and whether they are long → id, text, its row's error, stats (``engine.schema.STATS``).
Transcribing = Callable[["DataFrame", bool], "DataFrame"]


def engine(spark: SparkSession, spec: Spec) -> Transcribing:
    """``udfs.score`` of the model's folder."""
    from engine.options import Compute
    from udfs.scoring import prepare, score

    params, compute = {**ENGINE[spec.way], **spec.params}, Compute(dtype=spec.dtype)
    model = prepare(spark, spec.model, task="automatic-speech-recognition", params=params, compute=compute)

    def heard(df: DataFrame, long: bool) -> DataFrame:
        scored = score(df, model=model, input="audio", output="heard", stats="stats")
        return scored.select("id", "heard.text", "heard.error.code", "stats")

    return heard


def rival(spark: SparkSession, spec: Spec) -> Transcribing:
    """One of ``RIVALS`` in an iterator pandas UDF."""
    from pyspark.sql.functions import lit, pandas_udf

    def heard(df: DataFrame, long: bool) -> DataFrame:
        def text(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
            for batch in batches:
                yield pd.Series(RIVALS[spec.way](spec, batch.tolist(), long), dtype=object)

        heard_text = pandas_udf(text, "string")("audio").alias("text")
        return df.select("id", heard_text, lit(None).alias("code"), lit(None).alias("stats"))

    return heard


WAYS: Final[dict[str, Callable[[SparkSession, Spec], Transcribing]]] = {
    **dict.fromkeys(ENGINE, engine),
    **dict.fromkeys(RIVALS, rival),
}


class AudioWay:
    """One way in a Spark session of its own."""

    def __init__(self, spec: Spec) -> None:
        start = time.perf_counter()
        self.spark = session(spec.cores)
        self.session_s = time.perf_counter() - start
        for size in ("maxPartitionBytes", "openCostInBytes"):  # a partition is a file, whatever their sizes
            self.spark.conf.set(f"spark.sql.files.{size}", 1 << 30)
        self.spec = spec
        self.tables = {name: self._read(folder) for name, folder in spec.tables.items()}
        self.few = self._read(spec.few)
        self.rows: dict[str, list[Any]] = {}

    def cold(self) -> dict[str, Any]:
        """Makes the way and transcribes a few clips. Returns the seconds from a started session until then."""
        start = time.perf_counter()
        self.transcribing = WAYS[self.spec.way](self.spark, self.spec)
        self.ready()
        return {"session_s": self.session_s, "cold_s": time.perf_counter() - start}

    def ready(self) -> None:
        """A few clips in every worker: Spark ends those that were idle for a minute, and their models with them."""
        self.transcribing(self.few, False).collect()

    def run(self, table: str) -> None:
        """Transcribes a table."""
        self.rows[table] = self.transcribing(self.tables[table], table == LONG).collect()

    def facts(self) -> dict[str, Any]:
        """Of the last pass, by table: texts by row, errors, and the engine's phases; and the workers' threads."""
        threads = self.few.select("id").mapInArrow(_threads, "threads INT").first()["threads"]
        return {"worker_threads": threads, "heard": {table: told(rows) for table, rows in self.rows.items()}}

    def close(self) -> None:
        self.spark.stop()

    def _read(self, folder: str) -> DataFrame:
        frame = self.spark.read.parquet(folder).select("id", "audio")
        if (found := frame.rdd.getNumPartitions()) != self.spec.cores:
            raise RuntimeError(f"expected {self.spec.cores} partitions of {folder}, got {found}")
        return frame


def told(rows: list[Any]) -> dict[str, Any]:
    """What a pass gave: texts by row, errors' codes by row, seconds of the engine's phases over all workers."""
    return {
        "texts": {row["id"]: row["text"] or "" for row in rows},
        "errors": {row["id"]: row["code"] for row in rows if row["code"] is not None},
        "phases": summed([row["stats"].asDict() for row in rows if row["stats"] is not None]),
    }


def _threads(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import os

    for _ in batches:
        yield pa.record_batch({"threads": pa.array([int(os.environ["OMP_NUM_THREADS"])], pa.int32())})
