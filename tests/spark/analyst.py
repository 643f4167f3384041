"""A program of MLflow and Spark alone: arguments are a master, a model and the executors' cache of bundles.

Tells the answers as JSON, and which processes of this host have files of that cache mapped: where each runs, and what.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import mlflow
from pyspark.sql import SparkSession

TEXT = "a good day they were not there so many people said it would make more water than"
CONFIGURATION = {
    "spark.cores.max": "2",
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",  # both executors, before the first task
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "300s",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "512m",
    "spark.executor.memory": "512m",
    "spark.ui.enabled": "false",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


def mapped(cache: str) -> list[tuple[str, list[str]]]:
    """Of each process with a file of the cache in its memory: its working folder, and these files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            lines = (process / "maps").read_text().splitlines()
            files = sorted({line.split(maxsplit=5)[-1] for line in lines if f" {cache}/" in line})
            if files:
                found.append((os.readlink(process / "cwd"), files))
        except OSError:  # it ended, or is another's
            continue
    return found


def main(master: str, model: str, cache: str) -> None:
    """Scores by SQL."""
    assert find_spec("udfs") is None
    builder = SparkSession.builder.master(master)
    for key, value in CONFIGURATION.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.udf.register("sentiment", mlflow.pyfunc.spark_udf(spark, model))
    bodies = [None if at % 10 == 7 else TEXT[: 2 * at] for at in range(40)]
    spark.createDataFrame(list(enumerate(bodies)), "id INT, body STRING").repartition(8).createTempView("reviews")
    rows = spark.sql("SELECT id, body, sentiment(body) AS s FROM reviews ORDER BY id").collect()
    print(json.dumps({"rows": [row.asDict(recursive=True) for row in rows], "mapped": mapped(cache)}))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
