"""Stock MLflow on a real cluster: two executors, whose Python has no embercast, score from one copy of the weights."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sysconfig
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import udfs.pyfunc
from tests import tiny
from tests.spark import plain

pytestmark = pytest.mark.spark

ANALYST = Path(__file__).with_name("analyst.py")
HOST = "127.0.0.1"


def test_two_executors_score_from_one_copy(cache_home: Path, tmp_path: Path) -> None:
    folder, cache = tiny.save(tmp_path / "model", seed=1), tmp_path / "host"
    model = log(folder, tmp_path / "artifacts")
    python, cache_of_executors = bare_python(tmp_path / "bare"), {"EMBERCAST_CACHE": str(cache)}
    with cluster(tmp_path / "cluster", cache_of_executors) as master:
        command = [str(python), "-P", str(ANALYST), master, model, str(cache)]
        env = {**environment(), "PYSPARK_PYTHON": str(python)}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])

    assert [row["id"] for row in told["rows"]] == [*range(40)]
    for row in told["rows"]:
        found = {one["label"]: one["score"] for one in row["s"]["scores"]}
        assert row["s"]["error"] == dict.fromkeys(("code", "message", "retryable"))
        assert found == ({} if row["body"] is None else pytest.approx(plain.scores(folder, row["body"]), abs=1e-5))

    [bundle] = (path for path in (cache / "bundles").iterdir() if path.is_dir() and path.name != "files")
    assert {Path(cwd).name for cwd, _ in told["mapped"]} == {"0", "1"}  # an executor's folder has its number
    assert [files for _, files in told["mapped"]] == [[str(bundle / "model.safetensors")]] * 2


def log(folder: Path, artifacts: Path) -> str:
    """The model in the registry, with an alias."""
    import mlflow
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    parts = {
        "model": AutoModelForSequenceClassification.from_pretrained(folder),
        "tokenizer": AutoTokenizer.from_pretrained(folder),
    }
    experiment = mlflow.create_experiment("stock cluster", artifact_location=artifacts.as_uri())
    with mlflow.start_run(experiment_id=experiment):
        udfs.pyfunc.log_model(
            parts,
            name="cluster",
            task="text-classification",
            definition={"dtype": "float32"},
            registered_model_name="cluster",
        )
    mlflow.MlflowClient().set_registered_model_alias("cluster", "champion", "1")
    return "models:/cluster@champion"


def bare_python(home: Path) -> Path:
    """A Python with this one's packages but embercast: a checkout is installed by a hook, which it does not run."""
    venv.create(home, symlinks=True)
    [packages] = home.glob("lib/python*/site-packages")
    (packages / "packages.pth").write_text(sysconfig.get_paths()["purelib"], encoding="utf-8")
    return home / "bin" / "python"


def environment() -> dict[str, str]:
    """Of a process that is to find nothing of ours by accident."""
    ours = ("PYTHONPATH", "EMBERCAST_CACHE", "LOG4J_CONFIGURATION_FILE", "PYSPARK_GATEWAY_PORT")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "SPARK_LOCAL_IP": HOST, "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def cluster(home: Path, env: dict[str, str]) -> Iterator[str]:
    """The URL of a standalone master with two workers of one core each, which are processes of this host."""
    import pyspark

    home.mkdir()
    spark = Path(pyspark.__file__).parent
    own = {"SPARK_HOME": str(spark), "SPARK_DAEMON_MEMORY": "256m", "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC"}
    started: list[subprocess.Popen[bytes]] = []

    def start(kind: str, *arguments: str) -> None:
        command = [str(spark / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", "--host", HOST, *arguments]
        with (home / f"{len(started)}.log").open("wb") as log:
            environ = {**environment(), **own, **env}
            started.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True))

    port = free_port()
    try:
        start("master.Master", "--port", str(port), "--webui-port", "0")
        wait_for(port, started[0])
        for at in range(2):
            room = ("--cores", "1", "--memory", "1g", "--work-dir", str(home / f"work-{at}"))
            start("worker.Worker", "--webui-port", "0", *room, f"spark://{HOST}:{port}")
        yield f"spark://{HOST}:{port}"
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.socket() as made:
        made.bind((HOST, 0))
        return int(made.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until the master listens: who comes before it waits long for its second try."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None
        with socket.socket() as tried:
            if tried.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the master does not listen")
