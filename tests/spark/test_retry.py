"""Rows whose error a retry can help are scored again and replaced by key; no other row is touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from delta.tables import DeltaTable

from jobs import epochs
from jobs.cli import app
from jobs.errors import RunError
from jobs.history import failures, history
from jobs.retry import retry
from jobs.runner import run
from tests.faults import fault
from tests.scoring import rows as score_rows
from tests.scoring import scorer
from tests.spark.job import add, define, ids, rows, sink

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

BODIES = ["a good day", "they were not there", "now", "call me first"]


def fail(spark: SparkSession, folder: Path, where: str, code: str, *, retryable: bool) -> None:
    """Makes rows of the sink ones that failed."""
    from pyspark.sql import functions as f

    error = f.struct(f.lit(code).alias("code"), f.lit("so").alias("message"), f.lit(retryable).alias("retryable"))
    emptied = f.col("sentiment").withField("label", f.lit(None).cast("string")).withField("error", error)
    DeltaTable.forPath(spark, f"{folder}/sink").update(f.expr(where), {"sentiment": emptied})


def test_only_rows_that_a_retry_can_help_are_scored(
    spark: SparkSession, sentiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_mlflow: None
) -> None:
    add(spark, tmp_path, BODIES)
    definition = define(tmp_path, sentiment)
    first = run(definition, spark=spark)
    fail(spark, tmp_path, "id IN (1, 2)", "out_of_memory", retryable=True)
    fail(spark, tmp_path, "id = 3", "too_long", retryable=False)
    assert failures(spark, definition).codes == {
        "out_of_memory": (2, True, ((1,), (2,))),
        "too_long": (1, False, ((3,),)),
    }
    again = retry(definition, spark=spark)
    assert (again.rows, again.failed, again.commits) == (2, 0, 1)
    found = sink(spark, tmp_path)
    assert [row["_run_id"] for row in found] == [first.run_id, again.run_id, again.run_id, first.run_id]
    assert [row["sentiment"]["label"] for row in found[:3]] == [
        row["label"] for row in score_rows(scorer(sentiment), text=BODIES[:3]) if row
    ]
    assert found[3]["sentiment"]["error"]["code"] == "too_long"
    assert [(one.run_id, one.rows) for one in history(spark, definition).runs][:2] == [
        (again.run_id, 2),
        (first.run_id, 4),
    ]
    assert app(["run", f"{tmp_path}/job.yaml", "--retry-failed"], standalone_mode=False) is None
    assert (ids(spark, tmp_path), run(definition, spark=spark).rows) == ([0, 1, 2, 3], 0)


def test_rows_that_failed_are_kept_in_a_table_until_they_are_scored(
    spark: SparkSession, sentiment: Path, tmp_path: Path
) -> None:
    broken = rows(spark, ["x"] * 2, first=10).selectExpr("id", "product", "CAST(X'C328' AS STRING) body")
    add(spark, tmp_path, BODIES)
    broken.write.format("delta").mode("append").save(f"{tmp_path}/source")
    definition = define(tmp_path, sentiment, errors={"max_fraction": 1.0, "path": f"{tmp_path}/letters"})
    first = run(definition, spark=spark)

    def letters() -> list[tuple[int, str, int, str]]:
        found = spark.read.format("delta").load(f"{tmp_path}/letters").orderBy("id").collect()
        assert {row["_job"] for row in found} <= {definition.identity}
        return [(row["id"], row["code"], row["attempts"], row["_run_id"]) for row in found]

    assert letters() == [(10, "invalid_text", 1, first.run_id), (11, "invalid_text", 1, first.run_id)]
    DeltaTable.forPath(spark, f"{tmp_path}/source").update("id = 10", {"body": "'well now'"})
    fail(spark, tmp_path, "id IN (10, 11)", "unreadable", retryable=True)
    again = retry(definition, spark=spark)
    assert letters() == [(11, "invalid_text", 2, again.run_id)]
    assert retry(definition, spark=spark).rows == 0
    assert letters() == [(11, "invalid_text", 2, again.run_id)]


def test_letters_follow_an_epoch_that_several_runs_scored_and_rows_that_went(
    spark: SparkSession, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spark.sql(
        f"CREATE TABLE delta.`{tmp_path}/source` (id INT, product STRING, body STRING) USING delta "
        "TBLPROPERTIES (delta.enableChangeDataFeed = true)"
    )
    add(spark, tmp_path, BODIES)
    kept: dict[str, Any] = {"errors": {"max_fraction": 1.0, "path": f"{tmp_path}/letters"}}
    kept["source"] = {"changes": "rescore"}

    def letters() -> list[int]:
        return [row["id"] for row in spark.read.format("delta").load(f"{tmp_path}/letters").orderBy("id").collect()]

    run(define(tmp_path, sentiment, **kept), spark=spark)
    assert letters() == []
    broken = rows(spark, ["x"] * 2, first=10).selectExpr("id", "product", "CAST(X'C328' AS STRING) body")
    broken.write.format("delta").mode("append").save(f"{tmp_path}/source")
    again = define(tmp_path, sentiment, params={"top_k": 1}, on_change="rescore", **kept)
    with monkeypatch.context() as patch:
        patch.setattr(epochs, "swap", _die)
        with pytest.raises(KeyboardInterrupt):
            run(again, spark=spark)
    assert run(again, spark=spark).rows == 0
    assert letters() == [10, 11]
    DeltaTable.forPath(spark, f"{tmp_path}/source").delete("id = 10")
    assert run(again, spark=spark).rows == 0
    assert letters() == [11]


def test_where_changes_fail_a_retry_fails(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    run(define(tmp_path, sentiment), spark=spark)
    fail(spark, tmp_path, "id = 1", "unreadable", retryable=True)
    with pytest.raises(RunError, match="the parameters are others, and on_change is fail"):
        retry(define(tmp_path, sentiment, params={"top_k": 1}, on_change="fail"), spark=spark)


@fault(
    "a failed row is gone from the source before it is retried",
    of="rows",
    seen="it keeps its error, the others are scored again",
    left="nothing",
)
def test_a_row_that_is_gone_keeps_its_error(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    definition = define(tmp_path, sentiment)
    run(definition, spark=spark)
    fail(spark, tmp_path, "id IN (1, 2)", "unreadable", retryable=True)
    spark.read.format("delta").load(f"{tmp_path}/source").where("id != 2").write.format("delta").mode("overwrite").save(
        f"{tmp_path}/source"
    )
    assert retry(definition, spark=spark).rows == 1
    assert [(row["sentiment"]["error"] or {"code": None})["code"] for row in sink(spark, tmp_path)] == [
        *(None, None, "unreadable", None)
    ]


def test_keys_that_are_not_unique_are_refused(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    add(spark, tmp_path, BODIES[:2])
    definition = define(tmp_path, sentiment)
    run(definition, spark=spark)
    fail(spark, tmp_path, "id = 1", "unreadable", retryable=True)
    with pytest.raises(RunError, match="1 keys have several: nothing of them went into"):
        retry(definition, spark=spark)
    assert [row["sentiment"]["error"]["code"] for row in sink(spark, tmp_path) if row["id"] == 1] == ["unreadable"] * 2


def test_without_a_sink_there_is_nothing_to_retry(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    with pytest.raises(RunError, match="there is no sink yet: run the job first"):
        retry(define(tmp_path, sentiment), spark=spark)


def _die(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt
