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


def run(folder: Path) -> str:
    """The page of a run of the job that ``define`` wrote."""
    page = folder / "pages" / "run.html"
    assert not app(["run", f"{folder}/job.yaml", "--page", str(page)], standalone_mode=False)
    return page.read_text(encoding="utf-8")


def distributions(page: str) -> dict[str, dict[str, Any]]:
    return {one["title"]: one for one in held(page, "figures")["distributions"]}


def answers(spark: SparkSession, folder: Path) -> list[Any]:
    """The structs of the sink that have no error."""
    return [row["sentiment"] for row in sink(spark, folder) if row["sentiment"] and not row["sentiment"]["error"]]


def test_figures_are_those_of_the_sink_and_of_the_rows_that_a_rescore_took_the_place_of(
    spark: SparkSession, sentiment: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, no_mlflow: None
) -> None:
    one_file = {"dtype": "float32", "max_files_per_commit": 1}
    half = {"max_fraction": 0.5}
    define(tmp_path, sentiment, compute=one_file, errors=half)
    add(spark, tmp_path, BODIES)
    broken = rows(spark, ["x"], first=50).selectExpr("id", "product", "CAST(X'C328' AS STRING) body")
    more = rows(spark, [*BODIES, None], first=6).unionAll(broken).coalesce(1)
    more.write.format("delta").mode("append").save(f"{tmp_path}/source")
    first = run(tmp_path)
    found = held(first, "figures")
    assert [(point["rows"], point["failed"]) for point in found["points"]] == [(6, 0), (14, 1)]
    assert all(0 < point["p50_s"] <= point["p99_s"] <= point["longest_s"] for point in found["points"])
    assert 2 <= found["partitions"] <= 2 * spark.sparkContext.defaultParallelism
    assert found["errors"] == [["invalid_text", 1, False]]
    assert (found["before"], found["nulls"]) == (None, 1)
    good = answers(spark, tmp_path)
    labels, shown = Counter(one["label"] for one in good), distributions(first)["labels"]
    assert dict(zip(shown["bars"], shown["now"], strict=True)) == labels
    tokens = distributions(first)["tokens of an input"]
    shortest = min(one["tokens"] for one in good)
    assert (sum(tokens["now"]), tokens["now"][0]) == (12, sum(one["tokens"] == shortest for one in good))

    other = tiny.save(tmp_path_factory.mktemp("other"), seed=5, id2label={0: "no", 1: "yes"})
    define(tmp_path, other, compute=one_file, errors=half, on_change="rescore")
    second = run(tmp_path)
    assert held(second, "figures")["before"] == found["run"]
    drifted = distributions(second)["labels"]
    shares = zip(drifted["now"], drifted["before"], strict=True)
    assert dict(zip(drifted["bars"], shares, strict=True)) == {
        **{name: (count, 0) for name, count in Counter(one["label"] for one in answers(spark, tmp_path)).items()},
        **{name: (0, count) for name, count in labels.items()},
    }
    assert drifted["moved"] == 1.0
    assert not [text for text in BODIES if text in written(first) + written(second) and " " in text]
