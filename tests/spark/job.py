"""Short ways for tests to write a job's definition and its source, and to look at its sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from jobs.definition import JobDefinition, load

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession


def define(
    folder: Path, model: Path | str, *, variables: Sequence[str] = (), **sections: Mapping[str, Any] | str
) -> JobDefinition:
    """A job that scores ``folder``/source into ``folder``/sink; given sections go over the defaults, key by key."""
    data: dict[str, Any] = {
        "version": 1,
        "name": "reviews",
        "model": str(model),
        "task": "text-classification",
        "source": {"path": f"{folder}/source", "key": ["id"], "inputs": {"text": "body"}},
        "compute": {"dtype": "float32"},
        "sink": {"path": f"{folder}/sink", "output": "sentiment", "keep": ["product"]},
    }
    for name, section in sections.items():
        data[name] = {**data.get(name, {}), **section} if isinstance(section, Mapping) else section
    file = folder / "job.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    return load(file, variables=variables)


def rows(spark: SparkSession, bodies: Sequence[str | None], first: int = 0) -> DataFrame:
    """id, product and body; ids count from ``first``."""
    numbered = [(first + i, f"p{i % 2}", body) for i, body in enumerate(bodies)]
    return spark.createDataFrame(numbered, "id INT, product STRING, body STRING").coalesce(1)


def add(spark: SparkSession, folder: Path, bodies: Sequence[str | None], first: int = 0) -> None:
    """Appends rows to the Delta source: one file, one version."""
    rows(spark, bodies, first).write.format("delta").mode("append").save(f"{folder}/source")


def sink(spark: SparkSession, folder: Path) -> list[Row]:
    """Every row of the sink, by id."""
    return spark.read.format("delta").load(f"{folder}/sink").orderBy("id").collect()


def ids(spark: SparkSession, folder: Path) -> list[int]:
    """The sink's ids in order, doubles shown."""
    return [row["id"] for row in sink(spark, folder)]


def vacuum(spark: SparkSession, table: Path) -> None:
    """Removes every file that the table's last version does not name; by few tasks, Spark lists a folder by 10,000."""
    settings = {
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    }
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        spark.sql(f"VACUUM delta.`{table}` RETAIN 0 HOURS")
    finally:
        for name in settings:
            spark.conf.unset(name)
