"""log_model: a transformers model → MLflow, so that every door answers through this engine. Runs on the driver."""

from __future__ import annotations

from typing import Any


def log_model(
    transformers_model: Any, *, name: str, task: str, registered_model_name: str | None = None, **kwargs: Any
) -> Any:
    """Logs a model into the current run. Takes what ``udfs.pyfunc.save_model`` takes; returns MLflow's ModelInfo."""
    from mlflow.models import Model

    import udfs.pyfunc

    return Model.log(
        artifact_path=None,
        name=name,
        flavor=udfs.pyfunc,
        registered_model_name=registered_model_name,
        transformers_model=transformers_model,
        task=task,
        **kwargs,
    )
