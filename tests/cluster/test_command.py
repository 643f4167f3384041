"""``python -m demo.cluster``: what it starts, and what nobody may see of it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.cluster.conftest import Running

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1200)]


def test_models_are_kept_in_postgresql_and_artifacts_served(running: Running, tmp_path: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(running.registry)
    run = client.create_run(client.create_experiment("kept"))
    client.log_text(run.info.run_id, "one", "a.txt")
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    kept = running.home / "artifacts" / run.info.experiment_id / run.info.run_id / "artifacts" / "a.txt"
    assert kept.read_text() == "one"
    assert (running.home / "database" / "data" / "PG_VERSION").exists()
    assert any("postgres: embercast" in " ".join(line) for line in lines(running))


def test_no_argument_holds_the_password(running: Running) -> None:
    password = (running.home / "database" / "password").read_text()
    assert len(password) >= 32
    assert not any(password in part for line in lines(running) for part in line)
    assert not any(password.encode() in log.read_bytes() for log in running.home.rglob("*.log"))


def test_a_master_and_two_workers_run(running: Running) -> None:
    deployed = [line for line in lines(running) if any("spark.deploy" in part for part in line)]
    kinds = sorted(next(part for part in line if "spark.deploy" in part).rpartition(".")[2] for line in deployed)
    assert kinds == ["Master", "Worker", "Worker"]


def lines(running: Running) -> list[list[str]]:
    """Command lines of what runs."""
    found = []
    for one in running.processes():
        try:
            found.append(one.cmdline())
        except psutil.Error:  # it ended meanwhile
            continue
    return found
