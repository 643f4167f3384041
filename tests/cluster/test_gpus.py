"""GPUs by Spark's own scheduling, on a real cluster with GPUs that are made up: two of each worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from demo.cluster import cluster
from jobs.jars import delta_jars
from tests import homes, tiny

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, and the script that names two GPUs."""
    made = tmp_path_factory.mktemp("gpus")
    script = made / "gpus.sh"
    script.write_text("""#!/bin/sh\necho '{"name": "gpu", "addresses": ["0", "1"]}'\n""")
    script.chmod(0o755)
    tiny.save(made / "model")
    return made


@pytest.fixture(scope="module")
def master(home: Path) -> Iterator[str]:
    """Of two workers of four cores and two GPUs each."""
    workers = {
        "spark.worker.resource.gpu.amount": "2",
        "spark.worker.resource.gpu.discoveryScript": str(home / "gpus.sh"),
    }
    with homes.home(home / "cache"):
        env = {"PYTHONPATH": str(ROOT), "EMBERCAST_CACHE": os.environ["EMBERCAST_CACHE"]}
        with cluster(home / "cluster", conf=workers, cores=4, env=env) as made:
            yield made.master


@pytest.fixture(scope="module")
def told(master: str, home: Path) -> dict[str, Any]:
    """What tasks saw on executors with GPUs."""
    return program("handed out", master, home)


def program(kind: str, master: str, home: Path) -> dict[str, Any]:
    """What ``tests.cluster.gpus`` tells."""
    jars = ",".join(map(str, delta_jars()))
    command = [sys.executable, "-m", "tests.cluster.gpus", kind, master, str(home / "model"), str(home), jars]
    own = {"PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    env = {**os.environ, **own}
    env.pop("MLFLOW_TRACKING_URI")
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def at_once(tasks: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs of tasks that ran on one executor at the same time."""
    return [
        (one, other)
        for one, other in combinations(tasks, 2)
        if one["executor"] == other["executor"] and one["start"] < other["end"] and other["start"] < one["end"]
    ]


def test_each_task_has_a_gpu_to_itself(told: dict[str, Any]) -> None:
    tasks = told["whole"]
    assert len(tasks) == 8
    assert all(len(task["addresses"]) == 1 and task["cpus"] == 2 for task in tasks)
    together = at_once(tasks)
    assert together
    assert all(one["addresses"] != other["addresses"] for one, other in together)
    assert len({(task["executor"], *task["addresses"]) for task in tasks}) == 4


def test_tasks_share_a_gpu(told: dict[str, Any]) -> None:
    tasks = told["shared"]
    assert all(len(task["addresses"]) == 1 and task["cpus"] == 1 for task in tasks)
    together = at_once(tasks)
    assert any(one["addresses"] == other["addresses"] for one, other in together)
    for task in tasks:
        beside = [pair for pair in together if task in pair and pair[0]["addresses"] == pair[1]["addresses"]]
        assert len(beside) <= 1


def test_a_task_owns_two_gpus(told: dict[str, Any]) -> None:
    tasks = told["both"]
    assert [sorted(task["addresses"]) for task in tasks] == [["0", "1"]] * 4
    assert not at_once(tasks)


def test_a_profile_that_asks_for_the_same_is_the_same(told: dict[str, Any]) -> None:
    """Spark refuses a stage that has two, as one in which two models score."""
    assert told["same"]


def test_what_is_scored_lies_on_the_tasks_own_gpu(told: dict[str, Any]) -> None:
    assert told["placement"].startswith("1 GPU a task, 2 cores each (its 0.0 GiB of weights fit made up)")
    for rows in told["scored"]:
        assert [row["devices"] for row in rows] == [[f"cuda:{address}"] for row in rows for address in row["addresses"]]
        assert [row["cpus"] for row in rows] == [2] * 4


def test_a_worker_that_gets_another_gpu_moves(told: dict[str, Any]) -> None:
    rounds = told["scored"]
    moves = 0
    for worker in {row["worker"] for rows in rounds for row in rows}:
        seen = sorted((row for rows in rounds for row in rows if row["worker"] == worker), key=itemgetter("releases"))
        for before, after in pairwise(seen):
            moved = before["devices"] != after["devices"]
            moves += moved
            assert after["releases"] - before["releases"] == moved
    assert moves


def test_a_job_asks_for_its_gpus(told: dict[str, Any]) -> None:
    job = told["job"]
    assert job["lines"]["placement"] == "2 tasks a GPU, 1 core each (asked for)"
    assert (job["slots"], job["warnings"], len(job["where"])) == (8, [], 16)
    assert job["lines"]["threads"] == "1 (spark.task.cpus), 8 workers at once"
    for row in job["where"]:
        assert row["devices"] == [f"cuda:{address}" for address in row["addresses"]]
        assert row["cpus"] == 1


def test_executors_with_gpus_are_started_for_a_stage(master: str, home: Path) -> None:
    told = program("allocated", master, home)
    plain, scoring = ({task["executor"] for task in told[name]} for name in ("plain", "with gpus"))
    assert not plain & scoring
    assert [task["addresses"] for task in [*told["plain"], *told["again"]]] == [[]] * 4
    assert {tuple(task["addresses"]) for task in told["with gpus"]} == {("0",), ("1",)}
    assert {task["executor"] for task in told["again"]} == plain
    assert told["seen"] == 0  # by CUDA, of which there is none
