"""A local model folder → MLflow, by stock ``mlflow.transformers.log_model``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError, ModelNotFoundError, UnsupportedTaskError
from engine.models import folder as model_folder
from engine.models import pooling, vocoder
from engine.models.auto import auto_class
from engine.tasks import task_class

#: MLflow knows the names of transformers' pipelines only.
_PIPELINES: Final[Mapping[str, str]] = dict.fromkeys(
    ("embeddings", "list-embeddings", "llm/v1/embeddings"), "feature-extraction"
)
#: What a stock MLflow needs beside itself to load the model.
_NEEDED: Final = ("transformers", "torch", "accelerate")


def log_folder(folder: Path, *, name: str, task: str | None = None, alias: str = "champion") -> str:
    """Logs and registers a folder that ``save_pretrained`` wrote, and points an alias at it. Runs on the driver.

    Args:
        folder: configuration, safetensors weights, and tokenizer and feature extractor where the task needs them.
        name: of the registered model; it is made where there is none.
        task: None takes what the folder says.
        alias: moved to the new version.

    Returns the pinned URI, ``models:/name/3``. What a sentence-transformers folder ships beside the weights (pooling,
    normalizing, longest input) is logged as ``model_config``, since stock MLflow leaves those files behind.

    Raises ModelNotFoundError, UnsafeModelError, UnsupportedTaskError or ModelError.
    """
    if not folder.is_dir():
        raise ModelNotFoundError(f"expected a folder with a model at {folder}, there is none")
    model_folder.check(folder, folder)
    task = task or model_folder.infer_task(folder)
    if task is None:
        raise UnsupportedTaskError(f"{folder} does not say its task: give --task, `embercast tasks` lists them")
    model_folder.check_task(folder, task)
    if (folder / vocoder.FOLDER).is_dir():
        raise ModelError(
            f"expected a model that stock MLflow keeps whole, {folder} has a vocoder, which it would leave behind: log "
            "the folder with mlflow.log_artifacts and score runs:/…/path"
        )

    import mlflow
    import transformers

    transformers.logging.disable_progress_bar()
    folder = folder.resolve()  # a relative one reads like a hub's name to MLflow, which would ask there for its card
    model = auto_class(task, folder).from_pretrained(folder, local_files_only=True)
    parts = {"model": model, **_preparation(folder, task)}
    with mlflow.start_run(run_name=f"log {name}"):
        logged = mlflow.transformers.log_model(
            parts,
            name=name,
            task=_PIPELINES.get(task, task),
            registered_model_name=name,
            model_config=_shipped(folder, task),
            # MLflow would load the model again to guess them, and its own default asks for torchvision
            pip_requirements=[f"{package}=={metadata.version(package)}" for package in _NEEDED],
        )
    version = logged.registered_model_version
    mlflow.MlflowClient().set_registered_model_alias(name, alias, version)
    return f"models:/{name}/{version}"


def _preparation(folder: Path, task: str) -> dict[str, Any]:
    """What prepares the inputs of a task, by MLflow's names."""
    import transformers

    named = {
        "tokenizer": ("tokenizer", transformers.AutoTokenizer),
        "features": ("feature_extractor", transformers.AutoFeatureExtractor),
    }
    needed = [named[one] for one in task_class(task).needs if one in named]
    return {name: auto.from_pretrained(folder, local_files_only=True) for name, auto in needed}


def _shipped(folder: Path, task: str) -> dict[str, Any] | None:
    if task not in _PIPELINES or not (folder / "modules.json").exists():
        return None
    shipped = pooling.read(folder)
    limit = {} if shipped.max_length is None else {"max_length": shipped.max_length}
    return {"pooling": shipped.pooling, "normalize": shipped.normalize, **limit}
