"""Which of MLflow's logged models a run scored with. Runs on the driver."""

from __future__ import annotations

from pathlib import Path

from engine.models.flavor import FILE


def logged_model(uri: str) -> str | None:
    """The id of a pinned model, ``m-…``, which links it to a run.

    None where the tracking server has no such model: a folder, one that MLflow 2 logged, one of another server.

    Raises MlflowException where the server does not answer.
    """
    folder = Path(uri)
    if folder.is_absolute() and not (folder / FILE).is_file():
        return None

    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    found: str | None = Model.load(uri).model_id
    if found is None:
        return None
    try:
        mlflow.MlflowClient().get_logged_model(found)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return found
