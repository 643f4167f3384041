"""Every door to a logged model, as its user goes through it: rows in, one struct (or null) a row out, by id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Structs: TypeAlias = list[dict[str, Any] | None]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A model and the rows it scores.

    Args:
        spark: the session.
        uri: of the model.
        dtype: that doors of our own ask for; MLflow's take the one that the model was logged with.
        table: ``id``, and a column named as each input role.
        folder: with room for a job's tables.
    """

    spark: SparkSession
    uri: str
    dtype: str
    table: pa.Table
    folder: Path

    @property
    def roles(self) -> list[str]:
        """The input roles."""
        return [name for name in self.table.column_names if name != "id"]

    def frame(self) -> DataFrame:
        """The rows in as many partitions as there are cores."""
        return self.spark.createDataFrame(self.table)


def by_job(rows: Rows) -> Structs:
    from jobs.definition import made
    from jobs.runner import run

    rows.frame().coalesce(1).write.format("delta").save(f"{rows.folder}/source")
    definition = {
        "version": 1,
        "name": "golden",
        "model": rows.uri,
        "source": {"path": f"{rows.folder}/source", "key": ["id"], "inputs": {name: name for name in rows.roles}},
        "compute": {"dtype": rows.dtype},
        "sink": {"path": f"{rows.folder}/sink", "output": "result"},
        "errors": {"max_fraction": 1.0},
    }
    run(made(definition), spark=rows.spark)
    return _collected(rows.spark.read.format("delta").load(f"{rows.folder}/sink"))


def by_score(rows: Rows) -> Structs:
    from udfs import score

    inputs = {name: name for name in rows.roles}
    return _collected(score(rows.frame(), model=rows.uri, input=inputs, output="result", dtype=rows.dtype))


def by_udf(rows: Rows) -> Structs:
    from udfs import udf

    function = udf(rows.spark, rows.uri, dtype=rows.dtype)
    return _collected(rows.frame().withColumn("result", function(*rows.roles)))


def by_register(rows: Rows) -> Structs:
    from udfs import register

    register(rows.spark, "golden", rows.uri, dtype=rows.dtype)
    rows.frame().createOrReplaceTempView("golden_rows")
    return _collected(rows.spark.sql(f"SELECT id, golden({', '.join(rows.roles)}) AS result FROM golden_rows"))


def by_load_model(rows: Rows) -> Structs:
    import mlflow
    import pandas as pd

    frame = pd.DataFrame({name: pd.Series(rows.table[name].to_pylist(), dtype=object) for name in rows.roles})
    return _of_frame(mlflow.pyfunc.load_model(rows.uri).predict(frame))


def by_load(rows: Rows) -> Structs:
    from udfs.pyfunc import load

    found: Structs = load(rows.uri).predict(rows.table.select(rows.roles)).to_pylist()
    return found


def by_spark_udf(rows: Rows) -> Structs:
    import mlflow

    predict = mlflow.pyfunc.spark_udf(rows.spark, rows.uri)
    return _collected(rows.frame().withColumn("result", predict(*rows.roles)))


#: By the names that docs/doors.md gives them.
DOORS: Final[Mapping[str, Callable[[Rows], Structs]]] = {
    "job": by_job,
    "udfs.score": by_score,
    "udfs.udf": by_udf,
    "udfs.register": by_register,
    "udfs.pyfunc.load": by_load,
    "mlflow.pyfunc.load_model": by_load_model,
    "mlflow.pyfunc.spark_udf": by_spark_udf,
}
#: Those that ``forced`` is about.
MLFLOW: Final = frozenset({"mlflow.pyfunc.load_model", "mlflow.pyfunc.spark_udf"})


def _collected(scored: DataFrame) -> Structs:
    found = sorted(scored.select("id", "result").collect(), key=lambda row: row["id"])
    return [row["result"] and row["result"].asDict(recursive=True) for row in found]


def _of_frame(found: Any) -> Structs:
    return [dict(row) for row in found.to_dict("records")]
