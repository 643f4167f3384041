"""The demonstration's models, logged as anybody would: by stock ``mlflow.transformers.log_model``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from demo import smollm, whisper
from demo.fit import fit_head, minilm

__all__ = ["fit_head", "log_chat", "log_classifier", "log_encoder", "log_recognizer", "minilm", "use_folder"]

ALIAS: Final = "champion"
EXPERIMENT: Final = "embercast-demo"


def use_folder(folder: Path) -> None:
    """Makes an experiment whose artifacts lie in ``folder`` the one of this process (by MLFLOW_EXPERIMENT_NAME).

    The tracking URI stays what it is.
    """
    import mlflow

    if mlflow.get_experiment_by_name(EXPERIMENT) is None:
        mlflow.create_experiment(EXPERIMENT, artifact_location=folder.resolve().as_uri())
    os.environ["MLFLOW_EXPERIMENT_NAME"] = EXPERIMENT


def log_classifier(name: str, model: Any, tokenizer: Any) -> str:
    """Logs and registers a classifier under the alias champion. Returns its version."""
    from mlflow.types import ColSpec, Schema

    output = Schema([ColSpec("string", "label"), ColSpec("double", "score")])
    return _log(name, {"model": model, "tokenizer": tokenizer}, "text-classification", output)


def log_encoder(name: str = "minilm") -> str:
    """Logs and registers MiniLM itself under the alias champion. Returns its version."""
    import numpy as np
    from mlflow.types import Schema, TensorSpec
    from transformers import AutoModel, AutoTokenizer

    components = {"model": AutoModel.from_pretrained(minilm()), "tokenizer": AutoTokenizer.from_pretrained(minilm())}
    output = Schema([TensorSpec(np.dtype("float32"), (-1, -1))])
    # What MiniLM ships in files that stock MLflow leaves behind; a log_model that knows the model can say it.
    shipped = {"pooling": "mean", "normalize": True, "max_length": 256}
    return _log(name, components, "feature-extraction", output, shipped)


def log_recognizer(name: str = "whisper") -> str:
    """Logs and registers Whisper tiny.en under the alias champion. Returns its version."""
    from mlflow.types import ColSpec, Schema

    model, tokenizer, features = whisper.load()
    components = {"model": model, "tokenizer": tokenizer, "feature_extractor": features}
    return _log(name, components, "automatic-speech-recognition", Schema([ColSpec("string")]), reads="binary")


def log_chat(name: str = "smollm2") -> str:
    """Logs and registers SmolLM2-135M-Instruct under the alias champion. Returns its version."""
    model, tokenizer = smollm.load()
    return _log(name, {"model": model, "tokenizer": tokenizer}, "llm/v1/chat")


def _log(
    name: str,
    components: Mapping[str, Any],
    task: str,
    output: Any = None,
    config: Mapping[str, Any] | None = None,
    *,
    reads: str = "string",
) -> str:
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    with mlflow.start_run(run_name=f"log {name}"):
        logged = mlflow.transformers.log_model(
            transformers_model=dict(components),
            name=name,
            task=task,
            # Given so that MLflow neither runs the model to learn them nor asks pip for minutes; it knows a chat's.
            signature=ModelSignature(inputs=Schema([ColSpec(reads)]), outputs=output) if output is not None else None,
            pip_requirements=["torch", "transformers"],
            model_config=config,
            registered_model_name=name,
        )
    version = str(logged.registered_model_version)
    mlflow.MlflowClient().set_registered_model_alias(name, ALIAS, version)
    return version
