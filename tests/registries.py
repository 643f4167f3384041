"""An MLflow on sqlite for a test: the tables are made once a session, which takes seconds, and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

#: Sets MLflow up in a folder, for as long as the patch holds.
Enter = Callable[[Path, pytest.MonkeyPatch], None]


def template(folder: Path) -> Path:
    """A database without runs and models."""
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
    return folder / "mlflow.db"


def enter(made: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Works in ``folder`` with a copy of the database ``made``, artifacts beside it."""
    shutil.copyfile(made, folder / "mlflow.db")
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    patch.chdir(folder)
    import mlflow

    # By the environment: set_experiment would name it to every test that comes after these.
    patch.setenv("MLFLOW_EXPERIMENT_ID", mlflow.create_experiment("tests", (folder / "artifacts").as_uri()))
