"""Programs on a cluster whose workers have GPUs that are made up. Arguments: ``handed out`` or ``allocated``, master,
model, folder, jars.

Each tells as JSON what its tasks saw.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

import jobs.resolved
import udfs.scoring
from engine.options import Compute, ExecutorRequest
from engine.placement import Placement
from jobs import tables
from jobs.plan import plan
from jobs.resolved import resolve
from jobs.scoring import sink_rows
from tests.cluster import made_up
from tests.spark.job import define
from udfs import score
from udfs.hardware import probe
from udfs.profile import profile_of

CONFIGURATION = {
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "300s",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "768m",
    "spark.executor.memory": "512m",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}
#: Of tasks that are scored, until a worker is given another GPU than before.
ROUNDS = 20
DELTA = {
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


def tasks(
    spark: SparkSession, placement: Placement | None, count: int = 8, request: ExecutorRequest | None = None
) -> list[dict[str, Any]]:
    """What tasks of a stage with this placement were given."""
    profile = profile_of(spark, placement, request)
    told = spark.range(0, count, 1, count).mapInArrow(made_up.tell, made_up.TOLD, profile=profile)
    return [row.asDict() for row in told.collect()]


def scored(spark: SparkSession, model: made_up.MadeUpModel) -> list[list[dict[str, Any]]]:
    """Where each row was scored, of rounds of as many tasks as there are GPUs, until a worker had another one."""
    df = spark.range(0, 4, 1, 4).selectExpr("id", "concat('text ', id) AS body")
    rounds: list[list[dict[str, Any]]] = []
    while len(rounds) < ROUNDS and not any(row["releases"] for rows in rounds for row in rows):
        rows = score(df, model=model, input="body", output="s").collect()
        rounds.append([json.loads(row["s"]["label"]) for row in rows])
    return rounds


def job(spark: SparkSession, model: str, folder: Path) -> dict[str, Any]:
    """What a job's plan says of its place, and where the rows that a run would write are scored."""
    spark.range(0, 16, 1, 8).selectExpr("id", "'p' AS product", "concat('text ', id) AS body").write.parquet(
        f"{folder}/source"
    )
    source = {"format": "parquet", "schema": "id LONG, product STRING, body STRING"}
    definition = define(folder, model, source=source, compute={"tasks_per_gpu": 2})
    made = plan(definition, spark=spark)
    resolved = resolve(spark, definition)
    rows, _ = sink_rows(tables.read_source(spark, definition), resolved, "run")
    return {
        "lines": dict(made._lines()),
        "slots": made.slots,
        "warnings": made.warnings,
        "where": [json.loads(row["sentiment"]["label"]) for row in rows.collect()],
    }


def session(master: str, **more: str) -> SparkSession:
    """A session on the cluster."""
    builder = SparkSession.builder.master(master)
    for key, value in {**CONFIGURATION, **more}.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def handed_out(spark: SparkSession, model: str, folder: Path) -> dict[str, Any]:
    """What tasks see on executors that have GPUs from the start."""
    whole, shared, both = Placement(cpus=2), Placement(tasks=2, cpus=1), Placement(gpus=2, cpus=4)
    told: dict[str, Any] = {
        "whole": tasks(spark, whole),
        "shared": [tasks(spark, shared) for _ in range(2)][-1],  # first, workers start one after the other
        "both": tasks(spark, both, 4),
        "same": profile_of(spark, whole) is profile_of(spark, replace(whole)),
    }
    udfs.scoring.probe = lambda spark, request: made_up.HARDWARE
    prepare = jobs.resolved.prepare
    jobs.resolved.prepare = lambda *arguments, **options: made_up.made_up(prepare(*arguments, **options))
    prepared = made_up.made_up(prepare(spark, model, compute=Compute(dtype="float32")))
    told["placement"] = str(prepared.placement)
    told["scored"] = scored(spark, prepared)
    told["job"] = job(spark, model, folder)
    return told


def allocated(spark: SparkSession) -> dict[str, Any]:
    """What tasks see where executors with GPUs are started for a stage."""
    request = ExecutorRequest(gpus=2, cores=2, memory="512m")
    return {
        "plain": tasks(spark, None, 2),
        "with gpus": tasks(spark, Placement(cpus=1), 4, request),
        "seen": len(probe(spark, request).gpus),
        "again": tasks(spark, None, 2),
    }


def main(kind: str, master: str, model: str, folder: str, jars: str) -> None:
    """Tells all of it."""
    if kind == "handed out":
        spark = session(master, **DELTA, **{"spark.jars": jars, "spark.executor.resource.gpu.amount": "2"})
        told = handed_out(spark, model, Path(folder))
    else:  # an executor of each kind at most, which a worker's memory has room for
        bounds = {"spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.maxExecutors": "1"}
        spark = session(master, **bounds, **{"spark.executor.cores": "1"})
        told = allocated(spark)
    print(json.dumps(told))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
