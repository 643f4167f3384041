"""A run that would take too much is refused; one that took it ends at a commit, and the next goes on from there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs import limits
from jobs.cli import app
from jobs.errors import LimitReachedError, TooManyFailedRowsError
from jobs.history import failures, history, status
from jobs.lease import Lease
from jobs.plan import plan
from jobs.runner import run
from jobs.storage import job_folder
from jobs.tables import location_of
from tests.faults import fault
from tests.spark.job import add, define, ids, rows, sink

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

BODIES = ["a good day", "they were not there", "now"]
ONE_FILE = {"dtype": "float32", "max_files_per_commit": 1}


def three_files(spark: SparkSession, folder: Path) -> None:
    for at in range(3):
        add(spark, folder, BODIES, first=3 * at)


@fault(
    "a run would exceed `limits`",
    of="runs",
    seen="it is refused by `plan` and by `run`: which limit, by how much",
    left="raise the limit, or score less at once",
)
def test_a_run_over_its_rows_is_refused_by_plan_and_by_run(
    spark: SparkSession, sentiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    three_files(spark, tmp_path)
    definition = define(tmp_path, sentiment, limits={"max_rows": 8})
    refusal = "9 rows are to be scored, limits.max_rows allows 8"
    assert f"a run would be refused now: {refusal}" in plan(definition, spark=spark).warnings
    with pytest.raises(LimitReachedError, match=f"{refusal}: nothing was scored") as caught:
        run(definition, spark=spark)
    assert caught.value.summary is None
    assert sink(spark, tmp_path) == []
    assert app(["run", f"{tmp_path}/job.yaml"], standalone_mode=False) == 5
    assert refusal in capsys.readouterr().err
    assert run(define(tmp_path, sentiment, limits={"max_rows": 9}), spark=spark).rows == 9


def test_a_price_is_planned_beside_what_the_run_cost(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    definition = define(tmp_path, sentiment, compute={"price_per_hour": 3600.0})
    planned = plan(definition, spark=spark)
    assert planned.price == planned.planned.seconds
    summary = run(definition, spark=spark)
    assert summary.price == summary.seconds
    assert summary.planned is not None
    assert summary.planned_price == summary.planned.seconds
    dear = define(tmp_path, sentiment, compute={"price_per_hour": 3600.0}, limits={"max_price": 1e-9})
    add(spark, tmp_path, BODIES, first=3)
    with pytest.raises(LimitReachedError, match=r"the run should cost \d+\.\d\d, limits.max_price allows 0.00"):
        run(dear, spark=spark)


@fault(
    "a run reaches `limits` under way",
    of="runs",
    seen="it ends at a commit with its summary",
    left="run the job again",
)
def test_a_run_ends_at_a_commit_and_the_next_one_goes_on(
    spark: SparkSession, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_files(spark, tmp_path)
    limited = define(tmp_path, sentiment, compute=ONE_FILE, limits={"max_rows": 4})
    with monkeypatch.context() as patch:
        patch.setattr(limits, "exceeded", lambda *_: None)  # as where rows came after the plan
        with pytest.raises(LimitReachedError, match="6 rows were scored") as caught:
            run(limited, spark=spark)
    assert (caught.value.summary.rows, caught.value.summary.commits) == (6, 2)
    assert ids(spark, tmp_path) == [0, 1, 2, 3, 4, 5]
    summary = run(define(tmp_path, sentiment, compute=ONE_FILE), spark=spark)
    assert (summary.rows, ids(spark, tmp_path)) == (3, list(range(9)))
    found = history(spark, limited).runs
    assert [(one.run_id, one.commits, one.rows, one.failed) for one in found] == [
        (summary.run_id, 1, 3, 0),
        (caught.value.summary.run_id, 2, 6, 0),
    ]
    assert found[1].versions == (1, 2)
    assert {(one.model, one.dtype) for one in found} == {(str(sentiment), "float32")}


@fault(
    "so many rows fail that the rest can not make up for it",
    of="rows",
    seen="the run ends early: how many failed, and how they are listed",
    left="mend what fails; `embercast errors` lists it",
)
def test_a_run_that_is_lost_ends_early(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    broken = rows(spark, ["x"] * 3).selectExpr("id", "product", "CAST(X'C328' AS STRING) body")
    broken.write.format("delta").save(f"{tmp_path}/source")
    add(spark, tmp_path, BODIES, first=3)
    definition = define(tmp_path, sentiment, compute=ONE_FILE, errors={"max_fraction": 0.4})
    with pytest.raises(TooManyFailedRowsError, match=r"3 of 3 rows failed .* was ended early") as caught:
        run(definition, spark=spark)
    assert caught.value.summary.commits == 1
    assert ids(spark, tmp_path) == [0, 1, 2]
    found = failures(spark, definition)
    assert found.codes == {"invalid_text": (3, False, ((0,), (1,), (2,)))}
    assert [one.failed for one in history(spark, definition).runs] == [3]


def test_a_run_under_way_says_how_far_it_is(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    definition = define(tmp_path, sentiment)
    summary = run(definition, spark=spark)
    assert str(status(spark, definition)) == "reviews: no run is under way"
    folder = job_folder(spark, definition, location_of(spark, definition.sink.delta))
    lease = Lease(folder, summary.run_id)
    lease.rows = 12
    with lease:
        found = status(spark, definition)
    assert (found.run_id, found.done, found.rows) == (summary.run_id, 3, 12)
    assert f"{summary.run_id} is under way for " in str(found)
    assert ": 3 of 12 rows, " in str(found)
