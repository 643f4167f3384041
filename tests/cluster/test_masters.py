"""The demonstration's jobs give the same rows in one process, on executors of it, and on a standalone cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.archive import archive
from tests import pythons
from tests.cluster import demo_jobs
from tests.cluster.conftest import ROOT, Running, submit
from tests.conformance.base import assert_same

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.weights, pytest.mark.timeout(1200)]

#: What an answer has of its own, whatever it says.
OWN = frozenset({"id", "created"})
KEYS = {name: f"{name.removesuffix('s')}_id" for name in demo_jobs.JOBS}


@pytest.fixture(scope="module")
def local(shop: Path, spark: SparkSession) -> dict[str, list[Row]]:
    """What the jobs write in this process."""
    assert demo_jobs.run("local") == 0
    return written(spark, shop, "local")


def test_rows_in_one_process_are_whole(local: dict[str, list[Row]]) -> None:
    assert {name: len(rows) for name, rows in local.items()} == {name: 8 if name == "reviews" else 3 for name in KEYS}
    assert all(row[0]["error"] is None for rows in local.values() for row in outputs(rows))


def test_local_cluster_gives_the_same_rows(
    local: dict[str, list[Row]], shop: Path, spark: SparkSession, running: Running
) -> None:
    own = {"EMBERCAST_MASTER": "local-cluster[2,1,1024]", "PYSPARK_PYTHON": sys.executable}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, demo_jobs.__file__, "local_cluster"]
    with (shop / "log").open("w+") as log:
        env = {**os.environ, **own, "PYTHONPATH": path}
        done = subprocess.run(command, cwd=shop, env=env, stdout=log, stderr=log, timeout=500, check=False)
    assert done.returncode == 0, (shop / "log").read_text()[-4000:]
    assert_equal(written(spark, shop, "local_cluster"), local)


def test_a_standalone_cluster_gives_the_same_rows(
    local: dict[str, list[Row]], shop: Path, spark: SparkSession, running: Running, tmp_path: Path, cache_home: Path
) -> None:
    """The engine comes as one file, the environment as an archive; the executors' host has a cache of its own."""
    pythons.bare(tmp_path / "environment")
    packed = shutil.make_archive(str(tmp_path / "environment"), "gztar", tmp_path / "environment")
    options = ["--py-files", str(archive()), "--archives", f"{packed}#environment"]
    options += ["--conf", f"spark.executorEnv.EMBERCAST_CACHE={tmp_path / 'host'}"]
    env = {"PYSPARK_PYTHON": "./environment/bin/python", "PYSPARK_DRIVER_PYTHON": sys.executable}
    env["EMBERCAST_CACHE"] = str(cache_home)
    log = tmp_path / "log"
    submitted = submit(running, shop, log, *options, str(demo_jobs.__file__), "standalone", env=env)
    assert submitted.wait(500) == 0, log.read_text()[-4000:]
    assert_equal(written(spark, shop, "standalone"), local)
    bundles = [path for path in (tmp_path / "host" / "bundles").iterdir() if path.is_dir() and path.name != "files"]
    assert len(bundles) == len(KEYS)  # each came there once, for two executors


def written(spark: SparkSession, shop: Path, suffix: str) -> dict[str, list[Row]]:
    """Each job's sink, by its key."""
    found = {name: spark.read.format("delta").load(f"{shop}/.demo/tables/{name}_{suffix}") for name in KEYS}
    return {name: table.orderBy(KEYS[name]).collect() for name, table in found.items()}


def outputs(rows: list[Row]) -> list[list[Any]]:
    return [
        [row[name].asDict(recursive=True) for name in ("sentiment", "transcript", "answer") if name in row]
        for row in rows
    ]


def assert_equal(got: dict[str, list[Row]], expected: dict[str, list[Row]]) -> None:
    """The same keys and kept columns; equal outputs, numbers within 1e-5."""
    for name in KEYS:
        assert [row[:2] for row in got[name]] == [row[:2] for row in expected[name]]
        assert_same(outputs(got[name]), outputs(expected[name]), path=name, but=OWN)
