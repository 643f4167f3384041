"""Weights on many hosts: fetched once an executor, unpacked once a host."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from demo.cluster.processes import environment
from engine.models.bundle import make_bundle
from engine.models.registry import resolve
from tests.spark.hosts import EXECUTORS, HOSTS

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]


def test_two_executors_a_host_unpack_once(sentiment: Path, cache_home: Path, tmp_path: Path) -> None:
    bundle = make_bundle(resolve(str(sentiment)), "float32")
    env = {**environment(), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.spark.hosts", str(bundle.path), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])

    assert {one["executor"] for one in told["seen"]} == {*range(EXECUTORS)}
    hosts = {f"{tmp_path}/host-{i}" for i in range(HOSTS)}
    assert Counter(told["unpacked"]) == dict.fromkeys(hosts, 1)
    assert {one["folder"] for one in told["seen"]} == {f"{host}/bundles/{bundle.digest}" for host in hosts}
    assert len({one["inode"] for one in told["seen"]}) == HOSTS
    shards = -(-(bundle.nbytes + (bundle.path / "bundle.json").stat().st_size) // (16 << 10))
    assert shards > 3
    assert told["fetched"] == {str(executor): [1] * shards for executor in range(EXECUTORS)}
