"""MLflow → ModelRef: aliases are resolved once, here, on the driver. No other file of the engine imports mlflow."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError, ModelNotFoundError, UnsupportedTaskError
from engine.models import artifact, folder
from engine.models.ref import ModelRef
from engine.schema import SCHEMAS
from engine.tasks import task_class

_REGISTERED: Final = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
_SCHEMES: Final = ("models:/", "runs:/")
#: Names that transformers' pipelines give a task besides ours; MLflow logs the one that was used.
_OTHER_NAMES: Final = {"sentiment-analysis": "text-classification"}


def resolve(uri: str, *, task: str | None = None, allow_foreign_code: bool = False) -> ModelRef:
    """Pins a model and finds its files. Runs on the driver.

    Args:
        uri: models:/name@alias, models:/name/version, models:/m-id, runs:/id/path, or a local folder, which is either
            one that MLflow wrote or one that ``save_pretrained`` wrote.
        task: what to score; None takes what the model says.
        allow_foreign_code: whether a model that is no transformers flavor may be scored, by the code it brings.

    Raises ModelNotFoundError, UnsafeModelError, UnsupportedTaskError or ModelError.
    """
    pinned, version = pin(uri)
    root = _download(pinned) if pinned.startswith(_SCHEMES) else Path(pinned)
    logged = (root / "MLmodel").exists()
    if logged and "transformers" not in artifact.flavors(root):
        return artifact.pyfunc_ref(uri, pinned, version, root, task=task, allow_foreign_code=allow_foreign_code)
    ref = _from_mlflow(uri, pinned, version, root, task) if logged else _from_folder(uri, pinned, root, task)
    task_class(ref.task)
    folder.check(ref.model_dir, ref.tokenizer_dir)
    folder.check_task(ref.model_dir, ref.task)
    return ref


def pin(uri: str) -> tuple[str, str | None]:
    """The URI with its alias resolved, and the version. A local folder becomes its absolute path.

    Raises ModelNotFoundError where the registry or the disk does not have it.
    """
    if not uri.startswith(_SCHEMES):
        path = Path(uri.removeprefix("file://")).expanduser()
        if ":/" in uri and not uri.startswith("file:"):
            raise ModelNotFoundError(
                f"expected models:/name@alias, models:/name/3, runs:/id/path or a folder, got {uri}"
            )
        if not path.is_dir():
            raise ModelNotFoundError(f"expected a folder with a model at {uri}, there is none")
        return str(path.resolve()), None
    found = _REGISTERED.fullmatch(uri)
    if found is None:
        if uri.startswith("models:/") and not uri.startswith("models:/m-"):
            raise ModelNotFoundError(f"expected models:/name@alias or models:/name/3, got {uri}")
        return uri, None
    version = _version(uri, found["name"], found["alias"], found["version"])
    return f"models:/{found['name']}/{version}", version


def _version(uri: str, name: str, alias: str | None, version: str | None) -> str:
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    try:
        if alias is not None:
            return str(client.get_model_version_by_alias(name, alias).version)
        return str(client.get_model_version(name, str(version)).version)
    except MlflowException as error:
        raise ModelNotFoundError(
            f"expected {uri} in the registry at {mlflow.get_registry_uri()}, which answers: {error.message} "
            "Check the name, the alias and MLFLOW_TRACKING_URI"
        ) from error


def _download(pinned: str) -> Path:
    import mlflow
    from mlflow.exceptions import MlflowException

    into = tempfile.mkdtemp(prefix="embercast-")
    atexit.register(shutil.rmtree, into, ignore_errors=True)  # a ref is read as long as its process lives
    try:
        return Path(mlflow.artifacts.download_artifacts(pinned, dst_path=into))
    except (MlflowException, OSError) as error:
        raise ModelNotFoundError(f"expected the files of {pinned} in the artifact store, got: {error}") from error


def _from_folder(uri: str, pinned: str, root: Path, task: str | None) -> ModelRef:
    folder.check(root, root)
    task = task or folder.infer_task(root)
    if task is None:
        raise UnsupportedTaskError(f"{uri} does not say its task: give one, `embercast tasks` lists them")
    dtype = folder.read_json(root / "config.json")
    return ModelRef(
        uri=uri, pinned=pinned, version=None, model_dir=root, tokenizer_dir=root, task=task, dtype=_dtype(dtype)
    )


def _from_mlflow(uri: str, pinned: str, version: str | None, root: Path, task: str | None) -> ModelRef:
    from mlflow.models import Model

    flavors: dict[str, Any] = Model.load(str(root)).flavors
    flavor = flavors["transformers"]
    if "model_binary" not in flavor:
        raise ModelError(
            f"expected {uri} to hold its weights; it only names {flavor.get('source_model_name')} "
            "(save_pretrained=False). Run mlflow.transformers.persist_pretrained_model on it first"
        )
    tokenizer = root / "components" / "tokenizer"
    model_dir = root / flavor["model_binary"]
    return ModelRef(
        uri=uri,
        pinned=pinned,
        version=version,
        model_dir=model_dir,
        tokenizer_dir=tokenizer if tokenizer.is_dir() else model_dir,
        task=task or _mlflow_task(uri, flavor),
        dtype=_dtype(folder.read_json(model_dir / "config.json")),
        params=dict(flavors.get("python_function", {}).get("model_config") or {}),
    )


def _mlflow_task(uri: str, flavor: dict[str, Any]) -> str:
    serving, logged = flavor.get("inference_task"), flavor.get("task")
    if serving in SCHEMAS:  # llm/v1/…, of which the pipeline's own task is only the means
        return str(serving)
    if logged is None:
        raise UnsupportedTaskError(f"{uri} was logged without a task: give one, `embercast tasks` lists them")
    return str(_OTHER_NAMES.get(logged, logged))


def _dtype(config: dict[str, Any]) -> str | None:
    return config.get("dtype") or config.get("torch_dtype")
