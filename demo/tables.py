"""The demonstration's Delta tables: the source that its jobs read, and looks into what they wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, Final

from demo.reviews import Review

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

SOURCE: Final = ".demo/tables/reviews"
SCORED: Final = ".demo/tables/reviews_scored"
EMBEDDED: Final = ".demo/tables/reviews_embedded"

_SCHEMA: Final = "review_id STRING, product STRING, label STRING, body STRING"


def append(spark: SparkSession, reviews: Sequence[Review]) -> None:
    """Adds reviews to the source table; the first call makes it. ``label`` is a person's, which no job reads."""
    rows = spark.createDataFrame([astuple(review) for review in reviews], _SCHEMA)
    rows.coalesce(1).write.format("delta").mode("append").save(SOURCE)


def read(spark: SparkSession, path: str) -> DataFrame:
    """A Delta table as it is now."""
    return spark.read.format("delta").load(path)


def scored(spark: SparkSession, limit: int) -> list[Row]:
    """The first scored reviews by key: review_id, body, sentiment."""
    rows = _labelled(spark).select("review_id", "body", "sentiment")
    return rows.orderBy("review_id").limit(limit).collect()


def accuracy(spark: SparkSession) -> tuple[int, int]:
    """How many scored reviews have the label that a person gave them, and how many are scored."""
    right, total = _labelled(spark).selectExpr("count_if(sentiment.label = label)", "count(*)").collect()[0]
    return right, total


def _labelled(spark: SparkSession) -> DataFrame:
    return read(spark, SOURCE).join(read(spark, SCORED).select("review_id", "sentiment"), "review_id")


def runs(spark: SparkSession) -> list[Row]:
    """What each run added to the sink, oldest first: run, rows, version, dtype."""
    from pyspark.sql import functions as f

    by_run = read(spark, SCORED).groupBy(f.col("_run_id").alias("run"))
    figures = by_run.agg(
        f.count("*").alias("rows"),
        f.first("_model_version").alias("version"),
        f.first("_dtype").alias("dtype"),
        f.min("_scored_at").alias("since"),
    )
    return figures.orderBy("since").collect()


def nearest(spark: SparkSession, review_id: str, count: int) -> list[tuple[float, Row]]:
    """The reviews most like one by the cosine of their embeddings, best first: (cosine, row of the source).

    Raises ValueError where that review has no embedding.
    """
    import numpy as np

    rows: list[Any] = (
        read(spark, SOURCE)
        .join(read(spark, EMBEDDED), "review_id")
        .selectExpr("review_id", "product", "body", "embedding.embedding vector")
        .orderBy("review_id")
        .collect()
    )
    vectors = np.array([row.vector for row in rows], dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    one = [row.review_id for row in rows].index(review_id)
    cosines = vectors @ vectors[one]
    best = [i for i in np.argsort(-cosines) if i != one][:count]
    return [(float(cosines[i]), rows[i]) for i in best]
