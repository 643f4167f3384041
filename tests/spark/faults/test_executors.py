"""An executor that is killed, on a cluster of one machine: a session of its own, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.faults import fault
from tests.spark.job import define, ids, rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

ROOT: Final = Path(__file__).resolve().parents[3]

#: Runs the job of a folder and kills an executor as soon as one has a Python worker for the rows that are written.
DRIVER: Final = """
import os, signal, sys, threading, time
import psutil
from jobs import commits
from jobs.definition import load
from jobs.runner import run
from jobs.session import session

killed = []

def executors():
    found = []
    for one in psutil.Process().children(recursive=True):
        try:
            line = one.cmdline()
        except psutil.Error:
            continue
        if any("CoarseGrainedExecutorBackend" in part for part in line) and "java" in line[0]:
            found.append(one)
    return found

def kill():
    time.sleep(1.0)  # its tasks have begun
    while not killed:
        for one in executors():
            if any("pyspark.worker" in " ".join(child.cmdline()) for child in one.children()):
                os.kill(one.pid, signal.SIGKILL)
                killed.append(one.pid)
                return
        time.sleep(0.01)

def append(self, batch, batch_id):
    threading.Thread(target=kill, daemon=True).start()
    return write(self, batch, batch_id)

write, commits.Commits._append = commits.Commits._append, append
spark = session("executors")
summary = run(load(sys.argv[1]), spark=spark)
assert len(killed) == 1, killed
print("rows", summary.rows)
spark.stop()
"""


@fault(
    "an executor is killed while it scores",
    of="processes",
    seen="nothing: its tasks are tried again on others",
    left="nothing",
)
def test_an_executor_killed_while_it_scores_loses_and_doubles_nothing(
    spark: SparkSession, sentiment: Path, tmp_path: Path
) -> None:
    define(tmp_path, sentiment)
    rows(spark, [f"text number {i}" for i in range(2000)]).write.format("delta").save(f"{tmp_path}/source")
    environment = {**os.environ, "EMBERCAST_MASTER": "local-cluster[2,1,1500]", "PYSPARK_PYTHON": sys.executable}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", DRIVER, f"{tmp_path}/job.yaml"]
    with (tmp_path / "log").open("w+") as log:  # a cluster says more than a pipe holds
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log, timeout=500, check=False)
        log.seek(0)
        said = log.read()
    assert done.returncode == 0, said[-4000:]
    assert "rows 2000" in said
    assert ids(spark, tmp_path) == list(range(2000))
