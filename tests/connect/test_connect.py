"""Spark Connect: two executors whose Python has no embercast, and a client that shares no folder with them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.cluster.processes import environment
from engine.models.cache import verify
from tests import pythons, tiny
from tests.connect.client import BODIES
from tests.connect.server import server
from tests.spark import plain

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]
DOORS = ("score", "shared", "udf", "pandas", "sql", "named")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("connect")


@pytest.fixture(scope="module")
def folder(home: Path) -> Path:
    return tiny.save(home / "model", seed=1)


@pytest.fixture(scope="module")
def told(home: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """What the client tells; the server still runs."""
    python, shared = pythons.bare(home / "bare"), home / "shared"
    shared.mkdir()
    with server(home / "server", {"PYSPARK_PYTHON": str(python), "EMBERCAST_CACHE": str(home / "host")}) as address:
        command = [sys.executable, "-m", "tests.connect.client", address, str(folder), str(shared)]
        env = {**environment(), "PYTHONPATH": str(ROOT), "EMBERCAST_CACHE": str(home / "client")}
        done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("door", DOORS)
def test_every_door_answers_as_plain_transformers_do(told: dict[str, Any], folder: Path, door: str) -> None:
    found = told["doors"][door]
    assert len(found) == len(BODIES)
    for body, row in zip(BODIES, found, strict=True):
        scores = {one["label"]: one["score"] for one in (row or {}).get("scores") or ()}
        assert scores == ({} if body is None else pytest.approx(plain.scores(folder, body), abs=1e-5))


def test_parameters_go_by_name_in_sql(told: dict[str, Any]) -> None:
    for whole, best in zip(told["doors"]["sql"], told["doors"]["best"], strict=True):
        assert (best and best["label"], best and len(best["scores"])) == (whole and whole["label"], whole and 1)


def test_weights_are_sent_once_and_lie_once(told: dict[str, Any], home: Path) -> None:
    [files] = told["sent"]
    [bundle] = (path for path in (home / "host" / "bundles").iterdir() if path.is_dir() and path.name != "files")
    assert bundle.name == told["digest"]
    assert files == sum(path.is_file() for path in bundle.rglob("*"))
    verify(bundle, told["digest"])


def test_a_job_says_what_is_missing(told: dict[str, Any]) -> None:
    assert "got Spark Connect: a job keeps its lease and its progress through the driver's JVM" in told["refused"]
