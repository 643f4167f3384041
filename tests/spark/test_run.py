"""What a run reads, writes and tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.cli import app
from jobs.errors import TooManyFailedRowsError
from jobs.runner import run
from tests.faults import fault
from tests.scoring import rows as score_rows
from tests.scoring import scorer
from tests.spark.job import add, define, ids, rows, sink

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

BODIES = ["a good day", "they were not there", "now", "more than words can say", "a good day", "call me first"]


@pytest.mark.oldest
def test_rows_carry_what_the_engine_says_and_where_they_came_from(
    spark: SparkSession, sentiment: Path, tmp_path: Path
) -> None:
    add(spark, tmp_path, BODIES)
    summary = run(define(tmp_path, sentiment), spark=spark)

    scored = sink(spark, tmp_path)
    expected = score_rows(scorer(sentiment), text=BODIES)
    assert [row["id"] for row in scored] == list(range(len(BODIES)))
    for row, one in zip(scored, expected, strict=True):
        assert one is not None
        assert row["sentiment"]["label"] == one["label"]
        assert row["sentiment"]["score"] == pytest.approx(one["score"], abs=1e-5)
        assert row["sentiment"]["tokens"] == one["tokens"]
        assert row["sentiment"]["error"] is None
    assert [row["product"] for row in scored] == ["p0", "p1"] * 3
    assert {row["_run_id"] for row in scored} == {summary.run_id}
    assert {row["_model_version"] for row in scored} == {summary.digest[:12]}
    assert {row["_dtype"] for row in scored} == {"float32"}
    assert set(scored[0].asDict()) == {
        *("id", "product", "sentiment", "_run_id", "_model_version", "_dtype", "_scored_at")
    }


def test_summary_counts_what_was_done(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, [*BODIES, None, None])
    definition = define(tmp_path, sentiment)
    summary = run(definition, spark=spark)
    tokens = sum(row["tokens"] for row in score_rows(scorer(sentiment), text=BODIES) if row)
    assert (summary.rows, summary.failed, summary.skipped, summary.commits) == (8, 0, 2, 1)
    assert summary.tokens + _tokens_saved(summary.duplicates, sentiment) == tokens
    assert 0 <= summary.padding_share < 1
    assert summary.padded_tokens >= summary.tokens
    assert (summary.source_version, summary.sink_version) == (0, 1)
    assert summary.load_s + summary.forward_s > 0
    assert (summary.job, summary.identity, summary.dtype) == ("reviews", definition.identity, "float32")


def _tokens_saved(duplicates: int, model: Path) -> int:
    # "a good day" comes twice: once a window, and there may be one window or two
    again = score_rows(scorer(model), text=["a good day"])[0]
    assert again is not None
    return duplicates * int(again["tokens"])


def test_commit_names_the_run_and_never_the_rows(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    from delta.tables import DeltaTable

    add(spark, tmp_path, BODIES)
    summary = run(define(tmp_path, sentiment), spark=spark)
    last = DeltaTable.forPath(spark, f"{tmp_path}/sink").history(1).first()
    assert last is not None
    told = json.loads(last["userMetadata"])
    assert told == {
        "job": "reviews",
        "identity": summary.identity,
        "epoch": 0,
        "batch": 0,
        "run": summary.run_id,
        "model": str(sentiment),
        "digest": summary.digest,
        "dtype": "float32",
    }


def test_second_run_scores_only_what_is_new(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    definition = define(tmp_path, sentiment)
    add(spark, tmp_path, BODIES)
    first = run(definition, spark=spark)
    nothing = run(definition, spark=spark)
    add(spark, tmp_path, ["new words", "two more"], first=100)
    second = run(definition, spark=spark)
    assert (first.rows, nothing.rows, nothing.commits, second.rows) == (6, 0, 0, 2)
    assert ids(spark, tmp_path) == [0, 1, 2, 3, 4, 5, 100, 101]
    assert {row["_run_id"] for row in sink(spark, tmp_path) if row["id"] >= 100} == {second.run_id}


def test_a_new_model_scores_new_rows_only(
    spark: SparkSession, sentiment: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests import tiny

    other = tiny.save(tmp_path_factory.mktemp("other"), seed=5)
    add(spark, tmp_path, BODIES)
    old = run(define(tmp_path, sentiment), spark=spark)
    add(spark, tmp_path, ["new words"], first=100)
    new = run(define(tmp_path, other), spark=spark)
    assert (old.identity, new.rows) == (new.identity, 1)
    assert [row["_model_version"] for row in sink(spark, tmp_path)] == [old.digest[:12]] * 6 + [new.digest[:12]]


def test_where_leaves_rows_out_and_no_empty_commit_is_made(
    spark: SparkSession, sentiment: Path, tmp_path: Path
) -> None:
    from delta.tables import DeltaTable

    definition = define(tmp_path, sentiment, source={"where": "id >= 4"}, compute={"max_files_per_commit": 1})
    for first in range(0, 6, 2):
        add(spark, tmp_path, BODIES[first : first + 2], first=first)
    summary = run(definition, spark=spark)
    assert ids(spark, tmp_path) == [4, 5]
    assert summary.commits == 1
    assert DeltaTable.forPath(spark, f"{tmp_path}/sink").history().count() == 2  # its creation and one append
    add(spark, tmp_path, ["nothing that counts"], first=1)
    assert run(definition, spark=spark).commits == 0
    add(spark, tmp_path, ["something that does"], first=9)
    assert run(definition, spark=spark).rows == 1


@fault(
    "a row is broken",
    of="rows",
    seen="it has an error of its own, the others are scored",
    left="mend the row in the source",
)
def test_bad_rows_cost_only_themselves(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    broken = rows(spark, ["x"], first=50).selectExpr("id", "product", "CAST(X'C328' AS STRING) body")
    broken.write.format("delta").mode("append").save(f"{tmp_path}/source")
    summary = run(define(tmp_path, sentiment, errors={"max_fraction": 0.2}), spark=spark)
    scored = sink(spark, tmp_path)
    assert [row["sentiment"]["error"] for row in scored[:6]] == [None] * 6
    assert scored[6]["sentiment"]["error"]["code"] == "invalid_text"
    assert (summary.rows, summary.failed) == (7, 1)
    failed = spark.read.format("delta").load(f"{tmp_path}/sink").where(summary.failed_where)
    assert [row["id"] for row in failed.collect()] == [50]


@fault(
    "more rows fail than `errors.max_fraction` allows",
    of="rows",
    seen="exit code 3; what was scored is kept, and which rows failed is said",
    left="mend them, or allow more",
)
def test_too_many_failed_rows_end_with_3_and_keep_what_was_scored(
    spark: SparkSession, sentiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_mlflow: None
) -> None:
    add(spark, tmp_path, BODIES)
    broken = rows(spark, ["x"], first=50).selectExpr("id", "product", "CAST(X'C328' AS STRING) body")
    broken.write.format("delta").mode("append").save(f"{tmp_path}/source")
    definition = define(tmp_path, sentiment)
    with pytest.raises(TooManyFailedRowsError, match=r"1 of 7 rows failed \(14.29%\).*where _run_id = ") as caught:
        run(definition, spark=spark)
    assert caught.value.summary.failed == 1
    assert len(ids(spark, tmp_path)) == 7

    other = define(tmp_path, sentiment, name="again", sink={"path": f"{tmp_path}/again"})
    assert other.identity != definition.identity
    code = app(["run", f"{tmp_path}/job.yaml", "--summary", f"{tmp_path}/s.json"], standalone_mode=False)
    assert code == 3
    assert "errors.max_fraction allows 1.00%" in capsys.readouterr().err
    assert json.loads((tmp_path / "s.json").read_text())["failed"] == 1


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_files_are_read_as_they_come(spark: SparkSession, sentiment: Path, tmp_path: Path, kind: str) -> None:
    options = {"options": {"header": "true"}} if kind == "csv" else {}
    schema = {} if kind == "parquet" else {"schema": "id INT, product STRING, body STRING"}
    definition = define(tmp_path, sentiment, source={"format": kind, **options, **schema})
    rows(spark, BODIES).write.format(kind).option("header", "true").save(f"{tmp_path}/source")
    assert run(definition, spark=spark).rows == 6
    rows(spark, ["one more"], first=6).write.format(kind).option("header", "true").mode("append").save(
        f"{tmp_path}/source"
    )
    assert run(definition, spark=spark).rows == 1
    assert ids(spark, tmp_path) == list(range(7))
    assert {row["sentiment"]["error"] for row in sink(spark, tmp_path)} == {None}


def test_tables_are_found_by_name(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    rows(spark, BODIES).write.format("delta").option("path", f"{tmp_path}/source").saveAsTable("reviews_by_name")
    definition = define(
        tmp_path,
        sentiment,
        source={"path": None, "table": "reviews_by_name"},
        sink={"path": None, "table": "reviews_by_name_scored"},
    )
    try:
        assert run(definition, spark=spark).rows == 6
        assert run(definition, spark=spark).rows == 0
        assert spark.table("reviews_by_name_scored").count() == 6
    finally:
        spark.sql("DROP TABLE reviews_by_name")
        spark.sql("DROP TABLE reviews_by_name_scored")
