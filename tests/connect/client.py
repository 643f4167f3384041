"""A program of a Spark Connect client: arguments are the server, a model's folder, a folder that all see.

Tells as JSON what each door answered.

Apart from the tests' own process, where a client would turn pyspark's functions into those of Spark Connect for good.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from engine.options import Compute
from jobs import functions
from jobs.archive import archive
from jobs.errors import RunError
from jobs.session import check_classic
from udfs import register, score, udf
from udfs.connect import ArtifactWeights
from udfs.scoring import prepare

BODIES = ["a good day", "they were not there", None, "so many people said so", "a good day"]


def main(address: str, folder: str, shared: str) -> None:
    spark: Any = SparkSession.builder.remote(address).getOrCreate()
    spark.addArtifacts(str(archive()), pyfile=True)
    rows = spark.createDataFrame(list(enumerate(BODIES)), "id INT, body STRING").repartition(4)
    print(json.dumps(told(spark, rows, folder, shared)))
    spark.stop()


def told(spark: Any, rows: DataFrame, folder: str, shared: str) -> dict[str, Any]:
    """Every door's answers by id, and what else the test looks at."""
    sent: list[int] = []
    add = spark.addArtifacts
    spark.addArtifacts = lambda *paths, **options: (sent.append(len(paths)), add(*paths, **options))
    model, again = (prepare(spark, folder, compute=Compute(dtype="float32")) for _ in range(2))
    assert isinstance(model.weights, ArtifactWeights)
    assert again.weights == model.weights
    found = {
        "score": answers(score(rows, model=model, input="body", output="s")),
        "shared": answers(score(rows, model=folder, input="body", output="s", dtype="float32", weights_path=shared)),
        "udf": answers(rows.withColumn("s", udf(spark, model)("body"))),
        "pandas": answers(rows.withColumn("s", udf(spark, model, kind="pandas")("body"))),
    }
    register(spark, "sentiment", model)
    rows.createOrReplaceTempView("reviews")
    found["sql"] = answers(spark.sql("SELECT id, sentiment(body) AS s FROM reviews"))
    found["best"] = answers(spark.sql("SELECT id, sentiment(body, top_k => 1) AS s FROM reviews"))
    functions.register(spark, named(folder))
    found["named"] = answers(spark.sql("SELECT id, says(body) AS s FROM reviews"))
    return {"doors": found, "digest": model.bundle.digest, "sent": sent, "refused": refused(spark)}


def answers(scored: DataFrame) -> list[Any]:
    rows = sorted(scored.select("id", "s").collect(), key=lambda row: row["id"])
    return [row["s"] and row["s"].asDict(recursive=True) for row in rows]


def named(folder: str) -> Path:
    """An operator's file of functions."""
    path = Path("functions.yaml")
    path.write_text(
        f"version: 1\nfunctions:\n  says: {{model: {folder}, compute: {{dtype: float32}}}}\n", encoding="utf-8"
    )
    return path


def refused(spark: Any) -> str:
    """What a job is told."""
    try:
        check_classic(spark)
    except RunError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main(*sys.argv[1:])
