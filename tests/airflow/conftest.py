"""A folder of DAGs as docs/airflow.md writes them, which Airflow's own Python runs once for all tests here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from demo.cluster import cluster
from demo.place import BRIEF_JVM
from jobs.jars import delta_jars
from tests import homes, tiny
from tests.airflow import tables

ROOT: Final = Path(__file__).resolve().parents[2]
PYTHON: Final = ROOT / ".airflow" / "bin" / "python"
#: A value that must stand nowhere but in the environment of a run.
SECRET: Final = "s3cr3t-of-the-registry-4711"
#: DAGs of jobs that end at once, by what tests/airflow/submitting.py makes of their names.
ENDS: Final = '''
"""Airflow: each DAG has a task that ends as it is named."""
from pathlib import Path
from airflow.sdk import DAG
from jobs.dags import ScoreTask

JOBS = Path(__file__).with_name("ends")
SECRETS = {"MLFLOW_TRACKING_PASSWORD": "registry.password"}
GIVEN = {"retries": 1, "variables": {"ds": "{{ ds }}"}}
for code, budget in ((2, "fail"), (3, "fail"), (3, "succeed"), (5, "fail")):
    with DAG(f"ends_with_{code}_{budget}", schedule=None):
        ScoreTask(task_id="score", job=JOBS / f"{code}.yaml", over_budget=budget, secrets=SECRETS, **GIVEN)
with DAG("no_connection", schedule=None):
    ScoreTask(task_id="score", job=JOBS / "3.yaml", conn_id="nobody", variables=GIVEN["variables"])
with DAG("driver_elsewhere", schedule=None):
    ScoreTask(task_id="score", job=JOBS / "3.yaml", deploy_mode="cluster", **GIVEN)
with DAG("no_secret", schedule=None):
    ScoreTask(task_id="score", job=JOBS / "3.yaml", secrets={"A": "registry.login"}, **GIVEN)
'''
RUNS: Final = ("reviews_sentiment", "check_and_report")
ENDING: Final = (
    *(f"ends_with_{end}" for end in ("2_fail", "3_fail", "3_succeed", "5_fail")),
    "no_connection",
    "driver_elsewhere",
    "no_secret",
)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What Airflow told, everything that it said, what spark-submit was given and had, and where all of it lies."""

    told: dict[str, Any]
    said: str
    submitted: list[dict[str, Any]]
    home: Path


def blocks(info: str) -> list[str]:
    """The fenced blocks of docs/airflow.md with this first line."""
    page = (ROOT / "docs" / "airflow.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{info}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    if not PYTHON.exists():
        pytest.fail(f"expected Airflow's environment at {PYTHON}, there is none: make airflow")
    home = tmp_path_factory.mktemp("airflow")
    write_tables(home)
    write_dags(home)
    with homes.home(tmp_path_factory.mktemp("cache")):
        of_executors = {"EMBERCAST_CACHE": os.environ["EMBERCAST_CACHE"]}
        with cluster(home / "cluster", env=of_executors) as made, (home / "said").open("w") as said:
            command = [str(PYTHON), str(Path(__file__).with_name("scenario.py")), *RUNS, *ENDING]
            env = environment(home, made.master)
            code = subprocess.run(
                command, cwd=home, env=env, stdout=said, stderr=said, timeout=900, check=False
            ).returncode
    text = (home / "said").read_text()
    assert code == 0, text[-5000:]
    submitted = [json.loads(line) for line in (home / "submitted").read_text().splitlines()]
    return Ran(told=json.loads((home / "told.json").read_text()), said=text, submitted=submitted, home=home)


def write_tables(home: Path) -> None:
    """Reviews in two files, one of them with a long text; the tiny model that scores them."""
    labels = {0: "negative", 1: "positive"}
    tiny.save(home / "model", id2label=labels, label2id={v: k for k, v in labels.items()})
    for first in (0, 10):
        bodies = ["what a good day", *["they said no"] * 8, "many words " * 60 if first else "so much water"]
        reviews = [{"review_id": first + i, "body": body, "day": "2026-01-01"} for i, body in enumerate(bodies)]
        tables.add(home / "reviews", reviews)


def write_dags(home: Path) -> None:
    """The page's DAG files, its definition with the places of here, one that reads its sink, and those that end."""
    dags = home / "dags"
    (dags / "jobs").mkdir(parents=True)
    (dags / "ends").mkdir()
    for at, body in enumerate(blocks("python airflow")):
        (dags / f"page_{at}.py").write_text(body, encoding="utf-8")
    (dags / "ends.py").write_text(ENDS, encoding="utf-8")
    [page] = blocks("yaml job")
    reviews = yaml.safe_load(page.replace("s3a://shop", str(home)))
    reviews |= {"model": str(home / "model"), "compute": {"dtype": "float32", "max_files_per_commit": 1}}
    of_the_day = {"where": "day <= '${var:ds}'"}
    reviews["source"] |= of_the_day
    reviews["schedule"] |= {"retries": 1, "variables": {"ds": "{{ ds }}"}}
    checks = {
        **{key: reviews[key] for key in ("version", "model")},
        "name": "reviews_checked",
        "task": "text-classification",
        "source": {"path": reviews["sink"]["path"], "key": ["review_id"], "inputs": {"text": "body"}},
        "params": {"long_text": "error"},
        "sink": {"path": f"{home}/checked"},
        "errors": {"max_fraction": 0},
    }
    for name, job in {"jobs/reviews": reviews, "jobs/checks": checks}.items():
        (dags / f"{name}.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
    for code in (2, 3, 5):
        ending = {**checks, "name": f"ends_with_{code}", "source": checks["source"] | of_the_day}
        (dags / "ends" / f"{code}.yaml").write_text(yaml.safe_dump(ending), encoding="utf-8")


def environment(home: Path, master: str) -> dict[str, str]:
    """Of Airflow: its home, a cluster's connection and a secret's, and the spark-submit of these tests."""
    own = home / "bin" / "spark-submit"
    own.parent.mkdir()
    own.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("submitting.py")} "$@"\n')
    own.chmod(0o755)
    conf = {"spark.jars": ",".join(map(str, delta_jars())), "spark.sql.shuffle.partitions": "2"}
    conf |= {"spark.databricks.delta.snapshotPartitions": "1", "spark.executor.memory": "1g"}
    (home / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in conf.items()))
    host, _, port = master.removeprefix("spark://").partition(":")
    connections = {
        "SPARK_DEFAULT": {"conn_type": "spark", "host": f"spark://{host}", "port": int(port)},
        "SPARK_LOCAL": {"conn_type": "spark", "host": "local[2]"},
        "REGISTRY": {"conn_type": "generic", "password": SECRET},
    }
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "MLFLOW"))},
        **{f"AIRFLOW_CONN_{name}": json.dumps(one) for name, one in connections.items()},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
        "PATH": f"{own.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_CONF_DIR": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SUBMIT_OPTS": BRIEF_JVM,
        "SUBMITTED": str(home / "submitted"),
        "TOLD": str(home / "told.json"),
    }
