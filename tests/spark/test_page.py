"""The page of a run: its figures are those of the sink, and nothing that a row says is in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.cli import app
from tests import tiny
from tests.pages import held, written
from tests.spark.job import add, define, rows, sink

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

BODIES = ["a good day", "they were not there", "now", "more than words can say", "a good day", "call me first"]


def run(folder: Path, *options: str) -> str:
    """The page of a run of the job that ``define`` wrote."""
    page = folder / "pages" / "run.html"
    assert not app(["run", f"{folder}/job.yaml", "--page", str(page), *options], standalone_mode=False)
    return page.read_text(encoding="utf-8")


def distributions(page: str) -> dict[str, dict[str, Any]]:
    return {one["title"]: one for one in held(page, "figures")["distributions"]}


def test_figures_are_those_of_the_sink_and_of_the_run_before(
    spark: SparkSession, sentiment: Path, tmp_path: Path, no_mlflow: None
) -> None:
    three = {"dtype": "float32", "max_files_per_commit": 1}
    define(tmp_path, sentiment, compute=three, errors={"max_fraction": 0.5})
    add(spark, tmp_path, BODIES)
    add(spark, tmp_path, [*BODIES, None], first=6)
    broken = rows(spark, ["x"], first=50).selectExpr("id", "product", "CAST(X'C328' AS STRING) body")
    broken.write.format("delta").mode("append").save(f"{tmp_path}/source")
    first = run(tmp_path)
    found = held(first, "figures")
    assert [(point["rows"], point["failed"]) for point in found["points"]] == [(6, 0), (13, 0), (14, 1)]
    assert all(0 < point["p50_s"] <= point["p99_s"] <= point["longest_s"] for point in found["points"])
    assert 3 <= found["partitions"] <= 3 * spark.sparkContext.defaultParallelism
    assert found["errors"] == [["invalid_text", 1, False]]
    assert (found["before"], found["nulls"]) == (None, 1)
    good = [row["sentiment"] for row in sink(spark, tmp_path) if row["sentiment"] and not row["sentiment"]["error"]]
    labels = distributions(first)["labels"]
    assert dict(zip(labels["bars"], labels["now"], strict=True)) == Counter(one["label"] for one in good)
    tokens = distributions(first)["tokens of an input"]
    assert sum(tokens["now"]) == len(good) == 12
    assert tokens["now"][0] == Counter(one["tokens"] for one in good)[min(one["tokens"] for one in good)]

    add(spark, tmp_path, ["new words"], first=100)
    second = run(tmp_path)
    drifted = distributions(second)["labels"]
    assert held(second, "figures")["before"] == found["run"]
    assert dict(zip(drifted["bars"], drifted["before"], strict=True)) == Counter(one["label"] for one in good)
    assert sum(drifted["now"]) == 1
    assert not [text for text in (*BODIES, "new words") if text in written(first) + written(second) and " " in text]


def test_a_rescore_is_compared_with_the_rows_it_took_the_place_of(
    spark: SparkSession, sentiment: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, no_mlflow: None
) -> None:
    other = tiny.save(tmp_path_factory.mktemp("other"), seed=5, id2label={0: "no", 1: "yes"})
    add(spark, tmp_path, BODIES)
    define(tmp_path, sentiment)
    old = held(run(tmp_path), "figures")["run"]
    before = Counter(row["sentiment"]["label"] for row in sink(spark, tmp_path))
    define(tmp_path, other, on_change="rescore")
    found = run(tmp_path)
    labels = distributions(found)["labels"]
    now = Counter(row["sentiment"]["label"] for row in sink(spark, tmp_path))
    assert held(found, "figures")["before"] == old
    assert dict(zip(labels["bars"], zip(labels["now"], labels["before"], strict=True), strict=True)) == {
        **{name: (count, 0) for name, count in now.items()},
        **{name: (0, count) for name, count in before.items()},
    }
    assert labels["moved"] == 1.0
