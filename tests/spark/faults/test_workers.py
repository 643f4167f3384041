"""Python workers that die or hang, their daemon, and rows that end whatever scores them."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from jobs.errors import RunError
from jobs.runner import run
from tests import deadly, tiny
from tests.faults import fault
from tests.spark.faults.processes import daemons, kill
from tests.spark.job import add, define, ids, sink
from tests.spark.test_exactly_once import mapped

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

    from jobs.summary import Summary

pytestmark = pytest.mark.spark

#: Of 130 rows two equal ones kill, and one hangs: behind those that a run is tried with.
BODIES = [f"text {i}" for i in range(130)]
KILLS = (100, 120)
HANGS = 110


class Survived(NamedTuple):
    """A run over rows that kill and hang, and the sink's rows after it."""

    summary: Summary
    rows: list[Row]
    asked: list[str]


@pytest.fixture(scope="module")
def survived(spark: SparkSession, sentiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Survived:
    folder = tmp_path_factory.mktemp("survived")
    bodies = ["kills" if at in KILLS else "hangs" if at == HANGS else body for at, body in enumerate(BODIES)]
    add(spark, folder, bodies)
    job = define(folder, sentiment, compute={"max_seconds_per_batch": 2.0}, errors={"max_fraction": 0.05})
    with pytest.MonkeyPatch.context() as patch:
        calls = deadly.in_place_of(patch, folder)
        summary = run(job, spark=spark)
    return Survived(summary, sink(spark, folder), calls.take())


@fault(
    "a row kills the worker that scores it, every time",
    of="rows",
    seen="the row has the error `worker_killed`, which names the signal and a hash of its content; "
    "all others are scored",
    left="leave the row out, or mend what it is scored with",
)
def test_rows_that_kill_are_set_aside_and_the_rest_scored(survived: Survived) -> None:
    errors = {row["id"]: row["sentiment"]["error"] for row in survived.rows if row["sentiment"]["error"]}
    assert [row["id"] for row in survived.rows] == list(range(130))
    assert sorted(errors) == sorted([*KILLS, HANGS])
    for at in KILLS:
        assert (errors[at]["code"], errors[at]["retryable"]) == ("worker_killed", False)
        assert (
            "the process that scored this row was killed by signal 9, among other rows and alone"
            in (errors[at]["message"])
        )
        assert "kills" not in errors[at]["message"]
    assert errors[100]["message"] == errors[120]["message"]
    assert {row["sentiment"]["score"] for row in survived.rows if row["id"] < 100} == {6.0, 7.0}
    assert (survived.summary.rows, survived.summary.failed) == (130, 3)


@fault(
    "a row makes its worker hang, every time",
    of="rows",
    seen="after `compute.max_seconds_per_batch` the worker ends; the row has the error `worker_killed`, all others are "
    "scored. Without that limit the run waits for ever",
    left="leave the row out, or mend what it is scored with",
)
def test_a_row_that_hangs_is_set_aside_and_the_rest_scored(survived: Survived) -> None:
    error = survived.rows[HANGS]["sentiment"]["error"]
    assert error["code"] == "worker_killed"
    assert "the process that scored this row ended with code 1, among other rows and alone" in error["message"]
    assert survived.asked.count("hangs") <= 3


@fault(
    "workers die at every try, and no row is at fault",
    of="processes",
    seen="the run ends: a Python worker died at every try of its task",
    left="give the executors more memory, or let tasks be tried again; run the job again",
)
def test_workers_that_always_die_are_told_in_a_sentence(
    spark: SparkSession, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from udfs.worker import Descriptor

    definition = define(tmp_path, sentiment)
    add(spark, tmp_path, ["one", "two"])
    with monkeypatch.context() as patch:
        patch.setattr(Descriptor, "__reduce__", _dies_where_it_is_read)
        with pytest.raises(
            RunError, match="a Python worker died at every try of its task; memory that ran out"
        ) as told:
            run(definition, spark=spark)
    assert "run the job again, and it goes on from there" in str(told.value)
    assert ids(spark, tmp_path) == []
    assert run(definition, spark=spark).rows == 2
    assert ids(spark, tmp_path) == [0, 1]


def _dies_where_it_is_read(self: object) -> tuple[object, tuple[int]]:
    import os

    return os._exit, (1,)


@fault(
    "the daemon that forks Python workers is killed",
    of="processes",
    seen="nothing: the workers go on, and Spark starts another daemon",
    left="nothing",
)
def test_the_daemon_killed_while_rows_are_scored_loses_and_doubles_nothing(
    spark: SparkSession, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = tiny.save(tmp_path_factory.mktemp("own"), seed=12)  # a bundle that no worker has mapped yet
    definition = define(tmp_path, model)
    add(spark, tmp_path, [f"text number {i}" for i in range(600)])
    killed: list[int] = []
    stop = threading.Event()
    killer = threading.Thread(target=_kill_daemon, args=(killed, stop))
    killer.start()
    try:
        summary = run(definition, spark=spark)
    finally:
        stop.set()
        killer.join()
    assert killed
    assert ids(spark, tmp_path) == list(range(600))
    assert summary.rows == 600


def _kill_daemon(killed: list[int], stop: threading.Event) -> None:
    """Kills the daemon once a worker of it has mapped a bundle that none had mapped at the start."""
    before = {bundle for _, bundle in mapped()}
    while not stop.is_set() and not killed:
        if any(bundle not in before for _, bundle in mapped()):
            for daemon in daemons():
                assert kill(daemon)
                killed.append(daemon.pid)
        time.sleep(0.005)
