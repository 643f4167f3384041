"""An executor, a worker and the driver are killed in the middle of one job: no row is lost or doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import pytest

from jobs.archive import archive
from tests import pythons, tiny
from tests.cluster.conftest import ROOT, Running, submit
from tests.faults import fault
from tests.spark.job import define, ids, rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1200)]

COMMITS: Final = 10
ROWS: Final = 3000


@fault(
    "an executor, then a worker with its executor, then the driver are killed in the middle of one job on a cluster",
    of="processes",
    seen="the run goes on without the first two; without the driver it is gone, and what was committed stays",
    left="run the job again: it goes on with the first commit that is missing",
)
def test_kills_lose_and_double_nothing(running: Running, spark: SparkSession, tmp_path: Path, cache_home: Path) -> None:
    define(tmp_path, tiny.save(tmp_path / "model"), compute={"max_files_per_commit": 1})
    texts = rows(spark, [f"text number {i}" for i in range(ROWS)]).repartition(COMMITS)
    texts.write.format("delta").save(f"{tmp_path}/source")

    driver, log = start(running, tmp_path, cache_home, "killed")
    committed(tmp_path, driver, log, 1)
    named(running, "CoarseGrainedExecutorBackend")[0].kill()
    committed(tmp_path, driver, log, 3)
    worker = named(running, "deploy.worker.Worker")[0]
    os.killpg(worker.pid, signal.SIGKILL)
    committed(tmp_path, driver, log, 5)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert log.read_text().count("Lost executor") >= 2
    there = ids(spark, tmp_path)
    assert len(set(there)) == len(there)
    assert 0 < len(there) < ROWS

    running.add_worker()
    resumed, log = start(running, tmp_path, cache_home, "resumed")
    assert resumed.wait(400) == 0, log.read_text()[-4000:]
    assert ids(spark, tmp_path) == list(range(ROWS))
    assert json.loads((tmp_path / "resumed.json").read_text())["rows"] == ROWS - len(there)


def start(running: Running, folder: Path, cache: Path, name: str) -> tuple[subprocess.Popen[bytes], Path]:
    """The job of a folder; the engine comes as one file, the environment lies on every host."""
    python = folder / "environment" / "bin" / "python"
    if not python.exists():
        pythons.bare(folder / "environment")
    options = ["--py-files", str(archive()), "--conf", f"spark.executorEnv.EMBERCAST_CACHE={folder / 'host'}"]
    job = [str(ROOT / "jobs" / "run.py"), "--job", "job.yaml", "--summary", f"{name}.json"]
    env = {"PYSPARK_PYTHON": str(python), "EMBERCAST_CACHE": str(cache)}
    return submit(running, folder, folder / name, *options, *job, env=env), folder / name


def committed(folder: Path, driver: subprocess.Popen[bytes], log: Path, commits: int) -> None:
    """Until the job has made so many commits, or more."""
    until = time.monotonic() + 300
    while len(list((folder / "sink" / "_delta_log").glob("*.json"))) <= commits:  # the first makes the table
        assert driver.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < until, log.read_text()[-4000:]
        time.sleep(0.05)


def named(running: Running, name: str) -> list[psutil.Process]:
    """Java processes of the cluster that run a class."""
    found = []
    for one in running.processes():
        try:
            line = one.cmdline()
        except psutil.Error:  # it ended meanwhile
            continue
        if "java" in line[0] and any(name in part for part in line):
            found.append(one)
    return found
