"""A model of a folder or a hub → a version in MLflow's registry, with an alias on it. Runs on the driver."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.errors import ModelNotFoundError, ParameterError


def log_folder(folder: Path, *, name: str, task: str | None = None, alias: str = "champion", **options: Any) -> str:
    """Logs and registers a folder that ``save_pretrained`` wrote, and points an alias at it.

    Args:
        folder: configuration, safetensors weights, and tokenizer and feature extractor where the task needs them.
        name: of the registered model; it is made where there is none.
        task: None takes what the folder says.
        alias: moved to the new version.
        options: what else ``udfs.pyfunc.log_model`` takes.

    Returns the pinned URI, ``models:/name/3``. Raises ModelNotFoundError, UnsafeModelError, UnsupportedTaskError or
    ModelError.
    """
    if not folder.is_dir():
        raise ModelNotFoundError(f"expected a folder with a model at {folder}, there is none")
    return log_named(str(folder), name=name, task=task, alias=alias, **options)


def log_named(given: str, *, name: str, alias: str, **options: Any) -> str:
    """Logs and registers a folder or a model of a hub, by its name, in a run of its own. Returns the pinned URI."""
    import mlflow
    import transformers

    from udfs.pyfunc import log_model

    transformers.logging.disable_progress_bar()
    with mlflow.start_run(run_name=f"log {name}"):
        logged = log_model(given, registered_model_name=name, alias=alias, **options)
    return f"models:/{name}/{logged.registered_model_version}"


def params_of(assignments: Iterable[str]) -> dict[str, Any]:
    """``NAME=VALUE`` each → parameters; a value is YAML. Raises ParameterError for anything else."""
    import yaml

    found = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not name or not equals:
            raise ParameterError(f"--param: expected NAME=VALUE, got {assignment}")
        found[name] = yaml.safe_load(value)
    return found
