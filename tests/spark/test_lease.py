"""One run of a job at a time."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs import lease as leases
from jobs.errors import LeaseHeldError
from jobs.lease import FILE, Lease
from jobs.runner import run
from jobs.storage import Folder
from tests.faults import fault
from tests.spark.job import add, define, ids

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


@pytest.fixture
def folder(spark: SparkSession, tmp_path: Path) -> Folder:
    return Folder(spark, f"{tmp_path}/job")


def holder(**over: object) -> str:
    return json.dumps({"run": "r1", "host": "elsewhere", "pid": 1, "seen": time.time(), **over})


def test_second_run_is_refused_while_the_first_holds_it(folder: Folder) -> None:
    with Lease(folder, "r1"):
        with pytest.raises(LeaseHeldError, match="run r1 of this job is under way"), Lease(folder, "r2"):
            pass
        assert json.loads(folder.read(FILE))["run"] == "r1"
    with Lease(folder, "r2"):
        assert json.loads(folder.read(FILE))["run"] == "r2"
    assert not folder.exists(FILE)


def test_lease_of_a_dead_driver_on_this_host_is_taken_at_once(folder: Folder) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    folder.create(FILE, holder(host=platform.node(), pid=gone.pid))
    with Lease(folder, "r2"):
        assert json.loads(folder.read(FILE))["run"] == "r2"


def test_lease_of_a_driver_elsewhere_ends_by_itself(folder: Folder) -> None:
    folder.create(FILE, holder(seen=time.time() - 100))
    with pytest.raises(LeaseHeldError, match="r1 of this job is under way on elsewhere"), Lease(folder, "r2"):
        pass
    folder.write(FILE, holder(seen=time.time() - 121))
    with Lease(folder, "r2"):
        assert json.loads(folder.read(FILE))["run"] == "r2"


def test_lease_half_written_by_a_dead_driver_is_taken(folder: Folder) -> None:
    folder.create(FILE, '{"run": "r')
    with Lease(folder, "r2"):
        assert json.loads(folder.read(FILE))["run"] == "r2"


def test_lease_is_renewed_and_its_loss_is_noticed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_RENEW_S", 0.05)
    with Lease(folder, "r1") as lease:
        first = json.loads(folder.read(FILE))["seen"]
        assert _until(lambda: json.loads(folder.read(FILE))["seen"] > first)
        lease.check()
        # Again and again: between a look and its writing the thread may put its own lease over another's.
        assert _until(lambda: folder.write(FILE, holder(run="r9")) or lease._lost is not None)
        with pytest.raises(LeaseHeldError, match="r1 lost its lease: "):
            lease.check()
    folder.write(FILE, holder(run="r9"))
    lease.__exit__(None, None, None)
    assert json.loads(folder.read(FILE))["run"] == "r9"  # another's is not removed


@fault(
    "a run begins while another process holds the job",
    of="runs",
    seen="it is refused before a row is read",
    left="wait for the other run",
)
def test_run_that_finds_a_lease_scores_nothing(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    definition = define(tmp_path, sentiment)
    add(spark, tmp_path, ["one"])
    state = Folder(spark, f"{tmp_path}/sink/_embercast/{definition.identity}")
    run(definition, spark=spark)
    state.create(FILE, holder(host=platform.node(), pid=os.getpid()))
    add(spark, tmp_path, ["two"], first=1)
    with pytest.raises(LeaseHeldError):
        run(definition, spark=spark)
    assert ids(spark, tmp_path) == [0]
    state.delete(FILE)
    assert run(definition, spark=spark).rows == 1


def _until(condition: object) -> bool:
    for _ in range(200):
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False
