"""Workers and drivers that die: no row is lost, none is doubled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.errors import RunError
from jobs.runner import run
from tests import tiny
from tests.faults import fault
from tests.spark.job import add, define, ids, sink, vacuum

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]

#: Runs the job of a folder and dies as the operating system would kill it, where the second argument says.
DRIVER = """
import os, sys
from jobs import commits, progress, runner
from jobs.definition import load
from jobs.session import session

def die(*_):
    os._exit(9)

if sys.argv[2] == "between the write and the checkpoint":
    progress.Progress.committed = die
else:
    commits.Commits._append = die
spark = session("dies")
runner.run(load(sys.argv[1]), spark=spark)
"""


def run_and_die(folder: Path, where: str) -> None:
    command = [sys.executable, "-c", DRIVER, f"{folder}/job.yaml", where]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 9, done.stderr


@fault(
    "the driver is killed between a write and its checkpoint",
    of="processes",
    seen="the run ends; the next one finds the batch in the sink and does not score it again",
    left="run the job again",
)
def test_driver_killed_between_write_and_checkpoint_doubles_nothing(
    spark: SparkSession, sentiment: Path, tmp_path: Path
) -> None:
    definition = define(tmp_path, sentiment, compute={"max_files_per_commit": 1})
    for first in range(0, 40, 10):
        add(spark, tmp_path, [f"text {i}" for i in range(first, first + 10)], first=first)
    run_and_die(tmp_path, "between the write and the checkpoint")
    assert ids(spark, tmp_path) == list(range(10))

    summary = run(definition, spark=spark)
    assert ids(spark, tmp_path) == list(range(40))
    assert (summary.rows, summary.commits) == (30, 3)  # the batch that was written is not scored again
    runs = [row["_run_id"] for row in sink(spark, tmp_path)]
    assert len(set(runs[:10])) == len(set(runs[10:])) == 1
    assert runs[0] != runs[10] == summary.run_id


@fault(
    "the driver is killed before it writes",
    of="processes",
    seen="the run ends; nothing of the batch is in the sink",
    left="run the job again",
)
def test_driver_killed_before_the_write_loses_nothing(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    definition = define(tmp_path, sentiment)
    add(spark, tmp_path, [f"text {i}" for i in range(20)])
    run_and_die(tmp_path, "before the write")
    assert ids(spark, tmp_path) == []
    assert run(definition, spark=spark).rows == 20
    assert ids(spark, tmp_path) == list(range(20))


@fault(
    "a Python worker is killed while it scores",
    of="processes",
    seen="nothing: its task is tried again",
    left="nothing",
)
def test_worker_killed_while_it_scores_loses_and_doubles_nothing(
    spark: SparkSession, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = tiny.save(tmp_path_factory.mktemp("own"), seed=11)  # a bundle that no worker has mapped yet
    definition = define(tmp_path, model)
    add(spark, tmp_path, [f"text number {i}" for i in range(3000)])
    killed: list[int] = []
    stop = threading.Event()
    killer = threading.Thread(target=kill_one_worker, args=(killed, stop))
    killer.start()
    try:
        summary = run(definition, spark=spark)
    finally:
        stop.set()
        killer.join()
    assert len(killed) == 1
    assert ids(spark, tmp_path) == list(range(3000))
    assert summary.rows == 3000


def kill_one_worker(killed: list[int], stop: threading.Event) -> None:
    """Kills the first Python worker that maps a bundle which no worker had mapped at the start."""
    before = {bundle for _, bundle in mapped()}
    while not stop.is_set() and not killed:
        for pid, bundle in mapped():
            if bundle not in before:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                break
        time.sleep(0.005)


def mapped() -> list[tuple[int, str]]:
    """(process, bundle file) of every other process that has weights of this one's own cache mapped.

    Other tests, and whoever else runs Spark on this machine, have bundles of their own.
    """
    own, found = os.environ["EMBERCAST_CACHE"], []
    for maps in Path("/proc").glob("[0-9]*/maps"):
        pid = int(maps.parent.name)
        try:
            lines = maps.read_text().splitlines() if pid != os.getpid() else []
        except OSError:  # it ended meanwhile
            continue
        files = [line.split()[-1] for line in lines if line.endswith("/model.safetensors")]
        found += [(pid, file) for file in files if file.startswith(f"{own}/")]
    return found


@fault(
    "the job's progress is lost",
    of="the sink",
    seen="no row is scored: scoring from the start would double rows",
    left="put the folder back, or run the job under another name",
)
def test_lost_progress_is_noticed_before_rows_are_doubled(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    definition = define(tmp_path, sentiment)
    add(spark, tmp_path, ["one", "two"])
    run(definition, spark=spark)
    shutil.rmtree(tmp_path / "sink" / "_embercast")
    with pytest.raises(RunError, match="scoring from the start would double them"):
        run(definition, spark=spark)
    assert ids(spark, tmp_path) == [0, 1]


@fault(
    "the job's transaction id is used up by another hand",
    of="the sink",
    seen="the run ends: Delta left its commit out",
    left="run the job under another name",
)
def test_commit_that_delta_leaves_out_is_noticed(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    """Delta skips a transaction id at or below the recorded one without a word."""
    definition = define(tmp_path, sentiment)
    add(spark, tmp_path, ["one", "two"])
    run(definition.model_copy(update={"name": "first"}), spark=spark)  # makes the sink
    identity = definition.identity
    used_up = spark.read.format("delta").load(f"{tmp_path}/sink").limit(0).write.format("delta").mode("append")
    used_up.option("txnAppId", f"embercast-{identity}").option("txnVersion", 7).save(f"{tmp_path}/sink")
    with pytest.raises(RunError, match="Delta left it out: its transaction id is used up"):
        run(definition, spark=spark)


@fault(
    "VACUUM and OPTIMIZE of the sink between two runs",
    of="the sink",
    seen="nothing",
    left="nothing",
)
def test_vacuum_keeps_the_progress(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    definition = define(tmp_path, sentiment)
    add(spark, tmp_path, ["one", "two"])
    run(definition, spark=spark)
    vacuum(spark, tmp_path / "sink")
    spark.sql(f"OPTIMIZE delta.`{tmp_path}/sink`")
    assert run(definition, spark=spark).rows == 0
    assert ids(spark, tmp_path) == [0, 1]
