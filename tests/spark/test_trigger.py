"""A run with a trigger goes on with what comes, each row once, until it is stopped."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.cli import app
from jobs.errors import LimitReachedError, TooManyFailedRowsError
from jobs.limits import Watch
from jobs.plan import plan
from jobs.runner import run
from jobs.summary import Planned
from tests.spark.job import add, define, ids, sink

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

BODIES = ["a good day", "they were not there", "now"]
EVERY = {"every": "1 second"}


@contextmanager
def meanwhile(step: Callable[[], None]) -> Iterator[None]:
    """Runs ``step`` beside the block, and raises what it raised at the block's end."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            step()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if raised:
        raise raised[0]


def wait_for(spark: SparkSession, folder: Path, count: int) -> None:
    from delta.tables import DeltaTable

    for _ in range(240):
        if DeltaTable.isDeltaTable(spark, f"{folder}/sink") and len(sink(spark, folder)) >= count:
            return
        time.sleep(0.5)
    raise AssertionError(f"{count} rows did not come, there are {ids(spark, folder)}")


def test_rows_that_come_are_scored_once_until_it_is_stopped(
    spark: SparkSession, sentiment: Path, tmp_path: Path
) -> None:
    add(spark, tmp_path, BODIES)
    definition, stop = define(tmp_path, sentiment, trigger=EVERY), threading.Event()
    assert "a run goes on until it is stopped, a commit every 1 second at most" in plan(definition, spark=spark).notes

    def come_and_stop() -> None:
        try:
            wait_for(spark, tmp_path, 3)
            add(spark, tmp_path, BODIES, first=3)
            wait_for(spark, tmp_path, 6)
        finally:
            stop.set()

    with meanwhile(come_and_stop):
        done = run(definition, spark=spark, stop=stop)
    assert (done.rows, done.commits, done.source_version) == (6, 2, 1)
    assert ids(spark, tmp_path) == list(range(6))
    add(spark, tmp_path, BODIES, first=6)
    assert run(define(tmp_path, sentiment), spark=spark).rows == 3  # the same job without a trigger goes on from there
    assert ids(spark, tmp_path) == list(range(9))


def test_a_signal_stops_it_after_the_commit_and_a_summary_is_shown(
    spark: SparkSession, sentiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(spark, tmp_path, BODIES)
    define(tmp_path, sentiment, trigger=EVERY)
    before = signal.getsignal(signal.SIGTERM)

    def terminate() -> None:
        try:
            wait_for(spark, tmp_path, 3)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with meanwhile(terminate):
        assert not app(["run", f"{tmp_path}/job.yaml", "--summary", f"{tmp_path}/done.json"], standalone_mode=False)
    assert "rows scored" in capsys.readouterr().out
    assert '"rows": 3' in (tmp_path / "done.json").read_text()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_rescore_comes_first_and_a_limit_ends_it(
    spark: SparkSession, sentiment: Path, other: Path, tmp_path: Path
) -> None:
    add(spark, tmp_path, BODIES)
    run(define(tmp_path, sentiment), spark=spark)
    options: dict[str, Any] = {"trigger": EVERY, "on_change": "rescore", "limits": {"max_rows": 5}}
    definition = define(tmp_path, other, **options)

    def come() -> None:
        for _ in range(240):
            versions = {row["_model_version"] for row in sink(spark, tmp_path)}
            if len(versions) == 1 and versions != first:
                break
            time.sleep(0.5)
        add(spark, tmp_path, BODIES, first=3)

    first = {row["_model_version"] for row in sink(spark, tmp_path)}
    reached = "6 rows were scored, limits.max_rows allows 5"
    with meanwhile(come), pytest.raises(LimitReachedError, match=reached) as ended:
        run(definition, spark=spark)
    assert ended.value.summary is not None
    assert (ended.value.summary.rows, ended.value.summary.commits) == (6, 2)
    assert ids(spark, tmp_path) == list(range(6))
    assert {row["_model_version"] for row in sink(spark, tmp_path)} == {ended.value.summary.digest[:12]}


def test_failed_rows_end_it_once_they_are_enough_to_tell(tmp_path: Path, sentiment: Path) -> None:
    from jobs.commits import Totals

    watch = Watch(define(tmp_path, sentiment, trigger=EVERY), Planned(rows=3, rows_per_s=1.0, seconds=3.0))
    totals = Totals()
    totals.stats.rows, totals.stats.failed = 12, 10
    watch.check(totals)  # 10 of 1,000 may fail
    totals.stats.failed = 11
    with pytest.raises(TooManyFailedRowsError, match="11 of 12 rows failed"):
        watch.check(totals)
