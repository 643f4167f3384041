from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def _database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One for all tests here: making its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('tracking')}/mlflow.db"


@pytest.fixture
def experiment(
    _database: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The id of an experiment of the test's own, on the server that MLFLOW_TRACKING_URI names."""
    import mlflow

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _database)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    yield mlflow.create_experiment(request.node.name, artifact_location=f"file://{tmp_path}/artifacts")
    assert mlflow.active_run() is None
