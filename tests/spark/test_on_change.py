"""Another model, parameter or dtype between two runs: what happens is what ``on_change`` says, counted in rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs import epochs, runner
from jobs.errors import RunError, TooManyFailedRowsError
from jobs.plan import plan
from jobs.runner import run
from tests import tiny
from tests.faults import fault
from tests.scoring import rows as score_rows
from tests.scoring import scorer
from tests.spark.job import add, define, ids, sink

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition

pytestmark = pytest.mark.spark

BODIES = ["a good day", "they were not there", "now"]


def scores(spark: SparkSession, folder: Path) -> list[float]:
    return [row["sentiment"]["score"] for row in sink(spark, folder)]


def expected(model: Path, bodies: list[str]) -> list[float]:
    return [row["score"] for row in score_rows(scorer(model), text=bodies) if row]


def by_version(spark: SparkSession, folder: Path) -> dict[str, int]:
    return dict(Counter(row["_model_version"] for row in sink(spark, folder)))


def two_runs(spark: SparkSession, folder: Path, first: Path, second: Path, **options: Any) -> tuple[Any, Any]:
    """Three rows scored by one model, three more for the other."""
    add(spark, folder, BODIES)
    one = run(define(folder, first, **options), spark=spark)
    add(spark, folder, BODIES, first=3)
    return one, define(folder, second, **options)


def test_new_rows_leaves_the_old_ones(spark: SparkSession, sentiment: Path, other: Path, tmp_path: Path) -> None:
    one, definition = two_runs(spark, tmp_path, sentiment, other)
    made = plan(definition, spark=spark)
    assert made.changed == (f"the model was {sentiment} (text-classification) and is {other} (text-classification)",)
    assert (made.planned.rows, made.rescore and made.rescore.rows) == (3, 6)
    two = run(definition, spark=spark)
    assert two.rows == 3
    assert by_version(spark, tmp_path) == {one.digest[:12]: 3, two.digest[:12]: 3}
    assert scores(spark, tmp_path) == pytest.approx([*expected(sentiment, BODIES), *expected(other, BODIES)], abs=1e-5)


def test_rescore_replaces_all_rows_in_one_commit(
    spark: SparkSession, sentiment: Path, other: Path, tmp_path: Path
) -> None:
    from delta.tables import DeltaTable

    _, definition = two_runs(spark, tmp_path, sentiment, other, on_change="rescore")
    _add_row_of_another_job(spark, tmp_path)
    assert plan(definition, spark=spark).planned.rows == 6
    two = run(definition, spark=spark)
    assert (two.rows, two.commits) == (6, 1)
    assert ids(spark, tmp_path) == [*range(6), 99]
    assert scores(spark, tmp_path)[:6] == pytest.approx(expected(other, BODIES * 2), abs=1e-5)
    last = DeltaTable.forPath(spark, f"{tmp_path}/sink").history(1).first()
    assert last is not None
    assert (last["version"], json.loads(last["userMetadata"])["epoch"]) == (two.sink_version, 1)
    assert last["operationMetrics"]["numOutputRows"] == "6"

    add(spark, tmp_path, BODIES, first=6)  # goes on from the new epoch
    three = run(definition, spark=spark)
    assert (three.rows, ids(spark, tmp_path)) == (3, [*range(9), 99])
    assert run(definition, spark=spark).rows == 0


@fault(
    "the driver dies in the swap of a rescore, before its commit or after it",
    of="processes",
    seen="readers find all rows before or all rows after; the next run scores none again",
    left="run the job again",
)
@pytest.mark.parametrize("when", ["before the swap", "after the swap"])
def test_a_rescore_that_died_goes_on(
    spark: SparkSession, sentiment: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    _, definition = two_runs(spark, tmp_path, sentiment, other, on_change="rescore")
    with monkeypatch.context() as patch:
        patch.setattr(epochs, "overwrite" if when == "before the swap" else "_settle", _die)
        with pytest.raises(KeyboardInterrupt):
            run(definition, spark=spark)
    before = expected(sentiment, BODIES) if when == "before the swap" else expected(other, BODIES * 2)
    assert scores(spark, tmp_path) == pytest.approx(before, abs=1e-5)  # readers see one or the other
    assert run(definition, spark=spark).rows == 0  # no row is scored again
    assert ids(spark, tmp_path) == list(range(6))
    assert scores(spark, tmp_path) == pytest.approx(expected(other, BODIES * 2), abs=1e-5)


@fault(
    "the model changes where `on_change` is `fail`",
    of="the model",
    seen="no row is scored: what changed",
    left="write `on_change: new_rows` or `rescore`",
)
def test_fail_scores_nothing(spark: SparkSession, sentiment: Path, other: Path, tmp_path: Path) -> None:
    _, definition = two_runs(spark, tmp_path, sentiment, other, on_change="fail")
    assert "and on_change is fail: nothing was scored" in plan(definition, spark=spark).warnings[0]
    with pytest.raises(RunError, match="and on_change is fail: nothing was scored"):
        run(definition, spark=spark)
    assert ids(spark, tmp_path) == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"params": {"top_k": 1}}, ["the parameters are others"]),
        ({"compute": {"dtype": "bfloat16"}}, ["the dtype was float32 and is bfloat16"]),
        ({"compute": {"batch_tokens": 64, "price_per_hour": 2.0}, "limits": {"max_rows": 9}}, []),
    ],
)
def test_what_counts_as_a_change(
    spark: SparkSession, sentiment: Path, tmp_path: Path, change: dict[str, Any], told: list[str]
) -> None:
    add(spark, tmp_path, BODIES)
    run(define(tmp_path, sentiment), spark=spark)
    assert list(plan(define(tmp_path, sentiment, **change), spark=spark).changed) == told


def test_another_release_is_a_change(
    spark: SparkSession, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(spark, tmp_path, BODIES)
    definition: JobDefinition = define(tmp_path, sentiment, on_change="rescore")
    run(definition, spark=spark)
    monkeypatch.setattr("engine.__version__", "9.9")
    found = plan(definition, spark=spark)
    assert (found.changed, found.planned.rows) == (("the engine was 0.1.0 and is 9.9",), 3)


@fault(
    "the model changes again before a rescore is done",
    of="the model",
    seen="the rescore begins anew with the model that there is",
    left="nothing",
)
def test_a_model_that_changes_during_a_rescore_begins_it_anew(
    spark: SparkSession, sentiment: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, definition = two_runs(spark, tmp_path, sentiment, other, on_change="rescore")
    _die_before_the_swap(spark, definition, monkeypatch)
    third = tiny.save(tmp_path / "third", seed=9, id2label={0: "negative", 1: "positive"})
    summary = run(define(tmp_path, third, on_change="rescore"), spark=spark)
    assert (summary.rows, ids(spark, tmp_path)) == (6, list(range(6)))
    assert scores(spark, tmp_path) == pytest.approx(expected(third, BODIES * 2), abs=1e-5)


@fault(
    "too many rows of a rescore fail",
    of="rows",
    seen="nothing is replaced: how many failed, and where the new rows lie",
    left="allow more, or go back to what scored before",
)
def test_a_rescore_of_which_too_many_fail_replaces_nothing(
    spark: SparkSession, sentiment: Path, other: Path, tmp_path: Path
) -> None:
    _, definition = two_runs(spark, tmp_path, sentiment, other, on_change="rescore")
    spark.range(4).selectExpr("CAST(id + 6 AS INT) id", "'p0' product", "CAST(X'C328' AS STRING) body").write.format(
        "delta"
    ).mode("append").save(f"{tmp_path}/source")
    for rows in (10, 0):  # a second run scores none again, and says the same
        with pytest.raises(TooManyFailedRowsError, match="4 of 10 rows failed that were scored again") as caught:
            run(definition, spark=spark)
        assert (caught.value.summary.rows, caught.value.summary.sink_version) == (rows, None)
        assert scores(spark, tmp_path) == pytest.approx(expected(sentiment, BODIES), abs=1e-5)
    allowed = define(tmp_path, other, on_change="rescore", errors={"max_fraction": 0.5})
    assert (run(allowed, spark=spark).rows, ids(spark, tmp_path)) == (0, list(range(10)))


@fault(
    "a driver dies before it removed a rescore that was given up",
    of="processes",
    seen="nothing",
    left="nothing",
)
def test_what_a_rescore_that_was_given_up_left_is_not_gone_on_with(
    spark: SparkSession, sentiment: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, definition = two_runs(spark, tmp_path, sentiment, other, on_change="rescore")
    _die_before_the_swap(spark, definition, monkeypatch)
    state = next(tmp_path.glob("sink/_embercast/*/state.json"))  # as a driver left it that died before it removed them
    state.write_text(json.dumps({**json.loads(state.read_text()), "following": None}))
    third = tiny.save(tmp_path / "third", seed=9, id2label={0: "negative", 1: "positive"})
    assert run(define(tmp_path, third, on_change="rescore"), spark=spark).rows == 6
    assert scores(spark, tmp_path) == pytest.approx(expected(third, BODIES * 2), abs=1e-5)
    assert sorted(path.name for path in state.parent.iterdir() if path.is_dir()) == ["checkpoint-1"]


def _add_row_of_another_job(spark: SparkSession, folder: Path) -> None:
    one = spark.read.format("delta").load(f"{folder}/sink").limit(1)
    theirs = one.selectExpr("99 AS id", "product", "sentiment", "'another-job' AS _run_id", *one.columns[4:])
    theirs.write.format("delta").mode("append").save(f"{folder}/sink")


def _die_before_the_swap(spark: SparkSession, definition: JobDefinition, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(runner.epochs, "swap", _die)
        with pytest.raises(KeyboardInterrupt):
            run(definition, spark=spark)


def _die(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt
