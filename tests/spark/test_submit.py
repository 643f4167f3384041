"""``spark-submit jobs/run.py`` does what ``embercast run`` does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.jars import delta_jars
from tests.spark.job import add, define, ids

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]


def submit(folder: Path, *, jars: bool) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "spark-submit"), "--master", "local[2,4]"]
    command += ["--jars", ",".join(map(str, delta_jars()))] if jars else []
    command += [str(ROOT / "jobs" / "run.py"), "--job", "job.yaml", "--summary", "summary.json", "--set", "name=other"]
    env = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)


def test_a_job_runs_under_spark_submit(spark: SparkSession, sentiment: Path, tmp_path: Path, no_mlflow: None) -> None:
    define(tmp_path, sentiment)
    add(spark, tmp_path, ["one", "two", None])
    done = submit(tmp_path, jars=True)
    assert done.returncode == 0, done.stderr
    assert ids(spark, tmp_path) == [0, 1, 2]
    told = json.loads((tmp_path / "summary.json").read_text())
    assert (told["job"], told["rows"], told["skipped"]) == ("other", 3, 1)


def test_missing_jars_are_told(sentiment: Path, tmp_path: Path, no_mlflow: None) -> None:
    define(tmp_path, sentiment)
    done = submit(tmp_path, jars=False)
    assert done.returncode == 4
    assert (
        "spark-submit --jars $(python -m jobs.jars)" in done.stdout
    )  # spark-submit writes both of Python's outputs there
