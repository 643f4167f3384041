"""Which logged model a pinned model is."""

from __future__ import annotations

from pathlib import Path

import yaml

from jobs.tracking.models import logged_model


def artifact(folder: Path, **keys: str) -> str:
    """The path of a folder that says of itself what MLflow's say."""
    folder.mkdir()
    described = {"flavors": {}, "artifact_path": "model", "utc_time_created": "2026-01-01", **keys}
    (folder / "MLmodel").write_text(yaml.safe_dump(described), encoding="utf-8")
    return str(folder)


def test_the_model_that_an_artifact_says_it_is(experiment: str, tmp_path: Path) -> None:
    import mlflow

    known = mlflow.create_external_model(name="sentiment", experiment_id=experiment).model_id
    assert logged_model(artifact(tmp_path / "logged", model_id=known)) == known
    assert logged_model(artifact(tmp_path / "elsewhere", model_id="m-0123456789abcdef0123456789abcdef")) is None
    assert logged_model(artifact(tmp_path / "old")) is None


def test_a_folder_is_no_logged_model(tmp_path: Path) -> None:
    assert logged_model(str(tmp_path)) is None
