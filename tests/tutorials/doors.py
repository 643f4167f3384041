"""Every door to one model, and what each says of the same rows: a dictionary a row, in the rows' order.

Rows are a table with a column for each input, named as its role and in the order of the task's roles.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from engine.options import Compute
from tests.spark.job import define, sink

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Said = list[Any]


def here(**arguments: Any) -> Any:
    """``udfs.pyfunc.log_model`` with what a tutorial hands to MLflow's own; float32 wherever the tests run."""
    import udfs.pyfunc

    return udfs.pyfunc.log_model(definition={"dtype": "float32"}, **arguments)


def stock(**arguments: Any) -> Any:
    """MLflow's own ``log_model``."""
    import mlflow

    return mlflow.transformers.log_model(**arguments)


def of(log: Callable[..., Any], spark: SparkSession, uri: str, rows: pa.Table, folder: Path) -> dict[str, Said]:
    """Each door of a model that ``log`` logged: of stock's those of this engine, which reads it as it is."""
    said = {**engine(spark, uri, rows), "job": job(spark, uri, rows, folder)}
    return said if log is stock else {**said, **mlflow_doors(spark, uri, rows)}


def engine(spark: SparkSession, uri: str, rows: pa.Table, **options: Any) -> dict[str, Said]:
    """``score``, ``udf`` and ``register``; ``options`` go to ``prepare``."""
    from udfs import register, score, udf
    from udfs.foreign import Sample
    from udfs.scoring import prepare

    df, names = frame(spark, rows), rows.column_names
    sample = Sample(rows=df.select(names))
    model = prepare(spark, uri, compute=options.pop("compute", Compute(dtype="float32")), sample=sample, **options)
    register(spark, "said", model)
    df.createOrReplaceTempView("asked")
    scored = {
        "score": score(df, model=model, input={name: name for name in names}, output="said"),
        "udf": df.withColumn("said", udf(spark, model)(*names)),
        "sql": spark.sql(f"SELECT *, said({', '.join(names)}) AS said FROM asked"),
    }
    return {door: collected(one) for door, one in scored.items()}


def job(spark: SparkSession, uri: str, rows: pa.Table, folder: Path, **sections: Any) -> Said:
    """A job that reads the rows from a Delta table and writes another."""
    from jobs.runner import run

    frame(spark, rows).write.format("delta").save(f"{folder}/source")
    inputs = {name: name for name in rows.column_names}
    given = {"task": None, "source": {"inputs": inputs}, "sink": {"output": "said", "keep": []}, **sections}
    run(define(folder, uri, **given), spark=spark)
    return [_plain(row["said"]) for row in sink(spark, folder)]


def mlflow_doors(spark: SparkSession, uri: str, rows: pa.Table) -> dict[str, Said]:
    """MLflow's ``load_model`` and ``spark_udf``, and ``udfs.pyfunc.load``, of a model logged here."""
    import mlflow

    import udfs.pyfunc

    return {
        "load_model": predicted(mlflow.pyfunc.load_model(uri), rows),
        "load": udfs.pyfunc.load(uri).predict(rows).to_pylist(),
        "spark_udf": spark_udf(spark, uri, rows),
    }


def spark_udf(spark: SparkSession, uri: str, rows: pa.Table) -> Said:
    """MLflow's ``spark_udf`` with no other argument."""
    import mlflow

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "In Python 3.6.* it is preferred to specify type hints")  # to MLflow itself
        said = mlflow.pyfunc.spark_udf(spark, uri)
    return collected(frame(spark, rows).withColumn("said", said(*rows.column_names)))


def predicted(model: Any, rows: pa.Table, params: Mapping[str, Any] | None = None) -> Said:
    """What a loaded PyFunc says of the rows as a notebook has them, in a DataFrame."""
    found: list[Any] = model.predict(pd.DataFrame(rows.to_pydict()), params=params).to_dict("records")
    return found


def frame(spark: SparkSession, rows: pa.Table) -> DataFrame:
    """The rows as a DataFrame of one partition, numbered by ``id``."""
    numbered = rows.append_column("id", pa.array(range(rows.num_rows), pa.int64()))
    return spark.createDataFrame(numbered).coalesce(1)


def collected(scored: DataFrame) -> Said:
    """The column ``said`` in the rows' order."""
    return [_plain(row["said"]) for row in sorted(scored.collect(), key=lambda row: row["id"])]


def _plain(said: Any) -> Any:
    return said.asDict(recursive=True) if hasattr(said, "asDict") else said
