"""MLflow → ModelRef: aliases are resolved once, here, on the driver. No other file of the engine imports mlflow."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelNotFoundError, UnsupportedTaskError
from engine.models import adapter, artifact, flavor, folder, language_model, names, policy, quantized
from engine.models.ref import ModelRef
from engine.models.safety import artifact as safety
from engine.tasks import task_class

_REGISTERED: Final = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
_SCHEMES: Final = ("models:/", "runs:/")
#: Without an authority, by which MLflow would ask another server than the one that the policy looks at.
_RUN: Final = re.compile(r"runs:/[^/].*")


def resolve(uri: str, *, task: str | None = None, allow_foreign_code: bool = False) -> ModelRef:
    """Pins a model, finds its files and looks at what they would do. Runs on the driver.

    Args:
        uri: models:/name@alias, models:/name/version, models:/m-id, runs:/id/path, or a local folder, which is either
            one that MLflow wrote or one that ``save_pretrained`` wrote.
        task: what to score; None takes what the model says.
        allow_foreign_code: whether a model may be scored that brings code of its own: a PyFunc by that code, a
            transformers model beside it.

    Raises ModelNotFoundError, ForbiddenModelError, UnsafeModelError, UnsupportedTaskError or ModelError, and
    ParameterError for a policy that can't be read.
    """
    return read(locate(uri), task=task, allow_foreign_code=allow_foreign_code)


@dataclass(frozen=True, kw_only=True)
class Located:
    """A pinned model's files on this machine: ``root`` is the folder that MLflow or ``save_pretrained`` wrote."""

    uri: str
    pinned: str
    version: str | None
    root: Path


def read(found: Located, *, task: str | None = None, allow_foreign_code: bool = False) -> ModelRef:
    """What the files of a model say, after a look at what they would do; the policy was asked where it was located.

    Arguments and errors as for ``resolve``.
    """
    uri, pinned, version, root = found.uri, found.pinned, found.version, found.root
    logged = (root / flavor.FILE).exists()
    brought: tuple[str, ...] = ()
    if logged:
        brought = safety.check(uri, root, allow_foreign_code=allow_foreign_code)
    else:
        folder.check(root, allow_foreign_code=allow_foreign_code)
    if logged and not flavor.READ & artifact.flavors(root).keys():
        return artifact.pyfunc_ref(uri, pinned, version, root, task=task)
    ref = _from_mlflow(uri, pinned, version, root, task) if logged else _from_folder(uri, pinned, root, task)
    task_class(ref.task)
    folder.check(ref.model_dir, ref.tokenizer_dir, ref.features_dir, allow_foreign_code=allow_foreign_code)
    if ref.adapter_dir is None:
        folder.check_task(ref.model_dir, ref.task)
    else:  # the head may be the adapter's: the weights decide
        adapter.check(ref.adapter_dir)
    notes = (*quantized.check(ref.model_dir), *language_model.check(ref.model_dir, ref.tokenizer_dir, ref.features_dir))
    return replace(ref, notes=(*ref.notes, *brought, *notes))


def locate(uri: str) -> Located:
    """Pins a model and fetches its files, where the policy allows it. Nothing of them is loaded.

    Raises ModelNotFoundError, ForbiddenModelError, and ParameterError for a policy that can't be read.
    """
    pinned, version = pin(uri)
    rules = policy.active()
    if rules is not None:
        found = _REGISTERED.fullmatch(pinned)
        rules.check_source(uri, name=found["name"] if found else pinned, store=_store(pinned))
    root = _download(pinned) if pinned.startswith(_SCHEMES) else Path(pinned)
    if rules is not None:
        rules.check_files(uri, root)
    return Located(uri=uri, pinned=pinned, version=version, root=root)


def _store(pinned: str) -> str | None:
    """The address of where a pinned model is registered or logged, without a password; None for a folder."""
    if not pinned.startswith(_SCHEMES):
        return None
    import mlflow

    return policy.shown(mlflow.get_registry_uri() if _REGISTERED.fullmatch(pinned) else mlflow.get_tracking_uri())


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
        if uri.startswith("runs:/") and not _RUN.fullmatch(uri):
            raise ModelNotFoundError(f"expected runs:/id/path, got {uri}: MLFLOW_TRACKING_URI names the server")
        if uri.startswith("models:/") and not uri.startswith("models:/m-"):
            raise ModelNotFoundError(f"expected models:/name@alias or models:/name/3, got {uri}")
        return uri, None
    version = _version(uri, found["name"], found["alias"], found["version"])
    return f"models:/{found['name']}/{version}", version


def registered(uri: str) -> tuple[str, str | None] | None:
    """The name and the alias, where one is written, of a registered model's URI; None for any other."""
    found = _REGISTERED.fullmatch(uri)
    return None if found is None else (found["name"], found["alias"])


def _version(uri: str, name: str, alias: str | None, version: str | None) -> str:
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    try:
        if alias is not None:
            return str(client.get_model_version_by_alias(name, alias).version)
        return str(client.get_model_version(name, str(version)).version)
    except MlflowException as error:
        asked = policy.shown(mlflow.get_registry_uri())
        raise ModelNotFoundError(
            f"expected {uri} in the registry at {asked}, which answers: {error.message} "
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
    task = names.task_of(task) if task else folder.infer_task(root)
    if task is None:
        raise UnsupportedTaskError(f"{uri} does not say its task: give one, `embercast tasks` lists them")
    dtype = folder.read_json(root / "config.json")
    return ModelRef(
        uri=uri,
        pinned=pinned,
        version=None,
        model_dir=root,
        tokenizer_dir=root,
        task=task,
        dtype=_dtype(dtype),
        features_dir=root,
    )


def _from_mlflow(uri: str, pinned: str, version: str | None, root: Path, asked: str | None) -> ModelRef:
    logged = flavor.read(uri, root)
    task = _task(uri, logged, asked)
    params = names.params_of(task, logged.params)
    if task == "translation":
        params = {**names.languages(logged.task or ""), **params}
    return ModelRef(
        uri=uri,
        pinned=pinned,
        version=version,
        model_dir=logged.model_dir,
        tokenizer_dir=logged.tokenizer_dir,
        task=task,
        dtype=logged.dtype or _dtype(folder.read_json(logged.model_dir / "config.json")),
        params=params,
        adapter_dir=logged.adapter_dir,
        features_dir=logged.features_dir,
        notes=logged.notes,
    )


def _task(uri: str, logged: flavor.Logged, asked: str | None) -> str:
    if asked is not None:
        return names.task_of(asked)
    if logged.task is None:
        raise UnsupportedTaskError(f"{uri} was logged without a task: give one, `embercast tasks` lists them")
    if logged.task == "feature-extraction" and "pooling" in logged.params:
        return "embeddings"  # logged by `embercast log`: MLflow knows the names of transformers' pipelines only
    return names.task_of(logged.task)


def _dtype(config: dict[str, Any]) -> str | None:
    return config.get("dtype") or config.get("torch_dtype")
