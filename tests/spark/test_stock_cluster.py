"""Stock MLflow on a real cluster: two executors, whose Python has no embercast, score from one copy of the weights."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import udfs.pyfunc
from demo.cluster import cluster
from demo.cluster.ports import HOST
from demo.cluster.processes import environment
from tests import tiny
from tests.bare import bare_python
from tests.spark import plain

pytestmark = pytest.mark.spark

ANALYST = Path(__file__).with_name("analyst.py")
QUIET = {"SPARK_LOCAL_IP": HOST, "PYTHONDONTWRITEBYTECODE": "1"}


def test_two_executors_score_from_one_copy(cache_home: Path, tmp_path: Path) -> None:
    folder, cache = tiny.save(tmp_path / "model", seed=1), tmp_path / "host"
    model = log(folder, tmp_path / "artifacts")
    python, of_executors = bare_python(tmp_path / "bare"), {"EMBERCAST_CACHE": str(cache), **QUIET}
    with cluster(tmp_path / "cluster", env=of_executors) as made:
        command = [str(python), "-P", str(ANALYST), made.master, model, str(cache)]
        env = {**environment(), "PYSPARK_PYTHON": str(python), **QUIET}
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
