"""Kills at random moments, and the calls of a model when an interrupted run is done again."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs import trial
from jobs.commits import Commits
from jobs.errors import RunError
from jobs.runner import run
from tests import deadly
from tests.faults import fault
from tests.spark.faults.processes import kill, workers
from tests.spark.job import add, define, ids, sink
from tests.spark.test_exactly_once import run_and_die
from tests.whole import WHOLE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition

pytestmark = pytest.mark.spark

ROWS, COMMITS = 5000, 5


class Killed(Exception):
    """What stands for the driver's end."""


class Killer:
    """Kills at moments that a seed chooses: once the driver, before or behind a write, and else Python workers.

    Args:
        seed: of the moments.
        kills: how many workers are killed in each commit.
    """

    def __init__(self, seed: int, kills: int) -> None:
        self.random = random.Random(seed)
        self.kills = kills
        self.done: Counter[str] = Counter()
        self._threads: list[threading.Thread] = []

    def write(self, commits: Commits, batch: Any, batch_id: int, write: Any) -> None:
        """In the place of ``Commits._write``."""
        for _ in range(self.kills):
            thread = threading.Thread(target=self._kill_a_worker, args=(self.random.uniform(0.0, 1.0),))
            thread.start()
            self._threads.append(thread)
        die = self.random.choice(["before", "behind"]) if batch_id in (1, 3) and self.done[f"{batch_id}"] == 0 else None
        if WHOLE:
            die = None
        if die:
            self.done[f"{batch_id}"] += 1
        if die == "before":
            self.done["driver"] += 1
            raise Killed
        write(commits, batch, batch_id)
        if die == "behind":
            self.done["driver"] += 1
            raise Killed

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _kill_a_worker(self, delay: float) -> None:
        time.sleep(delay)
        for _ in range(600):
            there = workers()
            if there and kill(self.random.choice(there)):
                self.done["worker"] += 1
                return
            time.sleep(0.1)


@fault(
    "ten kills at random moments, of Python workers and of the driver",
    of="processes",
    seen="runs that end where the driver died",
    left="run the job again until it is done",
)
@pytest.mark.usefixtures("no_mlflow")
def test_ten_kills_at_random_moments_lose_and_double_nothing(
    spark: SparkSession, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [f"text {i}" for i in range(ROWS)]
    job = _job(spark, sentiment, tmp_path, bodies, files=COMMITS)
    killer = Killer(seed=8, kills=2)
    if WHOLE:
        for where in ("before the write", "between the write and the checkpoint"):
            run_and_die(tmp_path, where)
            killer.done["driver"] += 1
    deadly.in_place_of(monkeypatch, tmp_path, seconds=0.002)
    write = Commits._write
    monkeypatch.setattr(Commits, "_write", lambda self, batch, at: killer.write(self, batch, at, write))
    runs = _until_done(job, spark)
    killer.join()
    assert killer.done["worker"] + killer.done["driver"] >= 10
    assert killer.done["driver"] == 2
    assert runs >= (1 if WHOLE else 3)
    assert ids(spark, tmp_path) == list(range(ROWS))
    if not WHOLE:  # those drivers score with the model itself
        assert [row["sentiment"]["score"] for row in sink(spark, tmp_path)] == [float(len(body)) for body in bodies]


def _job(spark: SparkSession, model: Path, folder: Path, bodies: list[str], *, files: int) -> JobDefinition:
    """A job with a commit for each of so many files."""
    each = len(bodies) // files
    for first in range(0, len(bodies), each):
        add(spark, folder, bodies[first : first + each], first=first)
    return define(folder, model, compute={"max_files_per_commit": 1})


def _until_done(job: JobDefinition, spark: SparkSession) -> int:
    for runs in range(1, 12):
        try:
            run(job, spark=spark)
            return runs
        except (RunError, Killed):
            continue
    raise AssertionError("the job was not done after eleven runs")


@fault(
    "a run is interrupted and done again",
    of="runs",
    seen="no row that was committed goes to the model again",
    left="run the job again",
)
def test_a_run_done_again_asks_the_model_for_no_committed_row(
    spark: SparkSession, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [f"text {i}" for i in range(400)]
    job = _job(spark, sentiment, tmp_path, bodies, files=4)
    calls = deadly.in_place_of(monkeypatch, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Commits, "_write", _dies_behind_the_third(Commits._write))
        with pytest.raises(Killed):
            run(job, spark=spark)
    committed = [bodies[at] for at in ids(spark, tmp_path)]
    assert len(committed) == 300
    tried = Counter(calls.take()) - Counter(committed)
    assert (len(tried), {*tried.values()}) == (trial.ROWS, {2})  # before the run, the second time with the model there
    summary = run(job, spark=spark)
    assert Counter(calls.take()) == Counter(bodies) - Counter(committed)
    assert (summary.rows, ids(spark, tmp_path)) == (100, list(range(400)))


def _dies_behind_the_third(write: Any) -> Any:
    def then(self: Commits, batch: Any, batch_id: int) -> None:
        write(self, batch, batch_id)
        if batch_id == 2:
            raise Killed

    return then
