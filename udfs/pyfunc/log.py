"""log_model: a transformers model → MLflow, so that every door answers through this engine. Runs on the driver."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from engine.errors import ParameterError
from udfs.pyfunc.save import save_model

#: What the name of a logged model must not hold, though that of a registered one may.
_NOT_IN_NAMES: Final = re.compile(r"[/:.%\"']")


def log_model(
    transformers_model: Any,
    *,
    name: str | None = None,
    registered_model_name: str | None = None,
    alias: str | None = None,
    **kwargs: Any,
) -> Any:
    """Logs a model into the current run, and registers it. Returns MLflow's ModelInfo.

    Args:
        transformers_model: as ``udfs.pyfunc.save_model`` takes it.
        name: of the logged model; None takes the registered one's.
        registered_model_name: None registers nothing.
        alias: moved to the new version.
        kwargs: what ``udfs.pyfunc.save_model`` takes, and of MLflow's own ``log_model`` run_id, metadata, params, tags,
            model_type, step, model_id, prompts, resources, auth_policy, await_registration_for and artifact_path.

    Raises what ``udfs.pyfunc.save_model`` raises; nothing is logged then.
    """
    return log_artifact(
        save_model,
        name=name,
        registered_model_name=registered_model_name,
        alias=alias,
        transformers_model=transformers_model,
        **kwargs,
    )


def log_artifact(
    save: Callable[..., None],
    *,
    registered_model_name: str | None,
    alias: str | None,
    name: str | None = None,
    artifact_path: str | None = None,
    **kwargs: Any,
) -> Any:
    """Logs what ``save`` writes when it is called with ``path``, ``mlflow_model`` and those of ``kwargs`` that MLflow
    does not take itself. Raises ParameterError for an alias of nothing.
    """
    import mlflow
    from mlflow.models import Model

    if alias is not None and registered_model_name is None:
        raise ParameterError(f"expected registered_model_name with the alias {alias}: give it, or leave the alias out")
    info = Model.log(
        artifact_path=artifact_path,
        name=name or (None if artifact_path else _NOT_IN_NAMES.sub("-", registered_model_name or "model")),
        flavor=_Flavor(save),
        registered_model_name=registered_model_name,
        validate_serving_input=False,  # MLflow would run the model on the input example
        **kwargs,
    )
    if alias is not None:
        mlflow.MlflowClient().set_registered_model_alias(registered_model_name, alias, info.registered_model_version)
    return info


@dataclass(frozen=True)
class _Flavor:
    """What MLflow takes for a flavor's module."""

    save: Callable[..., None]
    __name__: ClassVar[str] = "udfs.pyfunc"

    def save_model(self, *, validate_serving_input: bool, **kwargs: Any) -> None:
        self.save(**kwargs)
