"""A query's first rows, shown. Runs on the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.errors import RunError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def show(spark: SparkSession, query: str, *, rows: int) -> None:
    """Prints the first rows that a statement of Spark SQL gives; nothing of one that gives none.

    Raises RunError for a statement that Spark does not understand.
    """
    from pyspark.errors import AnalysisException

    try:
        answer = spark.sql(query)
    except AnalysisException as error:  # a ParseException is one
        raise RunError(f"expected a statement that Spark understands: {error}") from error
    if answer.columns:
        answer.show(rows, truncate=False)
