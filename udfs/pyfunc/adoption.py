"""adopt: a model that stock MLflow logged → a new version of it that every door answers through this engine.

Its files are copied as they are; it is neither loaded nor run. Runs on the driver.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.errors import ModelError, SchemaError
from engine.models import registry
from engine.models.flavor import FILE, READ
from engine.models.ref import ModelRef
from udfs.pyfunc import asked, engine_flavor, requirements, stock
from udfs.pyfunc.definition import FORMAT, KEY, Definition
from udfs.pyfunc.embercast_loader import ARCHIVE
from udfs.pyfunc.example import example_of
from udfs.pyfunc.log import log_artifact
from udfs.pyfunc.save import seal

if TYPE_CHECKING:
    from mlflow.models import Model

log = logging.getLogger("embercast")

#: What a new version says for itself.
_NEW: Final = {"task", "release", "format"}
#: Files that are written anew.
_WRITTEN: Final = (FILE, ARCHIVE, "input_example.json", "serving_input_example.json", "registered_model_meta")


def adopt(
    uri: str,
    *,
    name: str | None = None,
    task: str | None = None,
    alias: str | None = None,
    definition: Mapping[str, Any] | None = None,
) -> str:
    """Logs a logged model again, with the flavors it has and this engine's loader, as a new version.

    Args:
        uri: models:/name/3, models:/name@alias, runs:/id/path or a folder that MLflow wrote.
        name: of the registered model; None takes that of a models:/ URI.
        task: None takes what the model was logged with.
        alias: moved to the new version; None moves none.
        definition: dtype, device, batch_tokens, backend over those of a model that was logged here, or their defaults.

    Returns the new version, ``models:/name/4``; its metadata say ``adopted_from: models:/name/3``. Parameters that were
    logged stay, and have the task's names. A model of an earlier embercast is brought to this release.

    Raises what ``engine.models.registry.resolve`` raises, SchemaError or ParameterError; nothing is logged then.
    """
    import mlflow

    found = registry.locate(uri)
    if not (found.root / FILE).exists():
        raise ModelError(f"expected a model that MLflow logged, {uri} has no {FILE}: embercast log logs it")
    ref = registry.read(found, task=task)
    registered = name or _registered(found.pinned)
    with mlflow.start_run(run_name=f"adopt {ref.known_as}", nested=mlflow.active_run() is not None):
        info = log_artifact(
            partial(_write, root=found.root, ref=ref, definition=definition or {}),
            registered_model_name=registered,
            alias=alias,
        )
    return f"models:/{registered}/{info.registered_model_version}"


def _registered(pinned: str) -> str:
    found = re.fullmatch(r"models:/(?P<name>[^/]+)/\d+", pinned)
    if found is None:
        raise ModelError(f"expected a version of a registered model, got {pinned}: give name= of the new one")
    return found["name"]


def _write(path: str, *, mlflow_model: Any, root: Path, ref: ModelRef, definition: Mapping[str, Any]) -> None:
    from mlflow.models import Model, ModelSignature
    from mlflow.models.utils import _save_example

    old, into = Model.load(str(root)), Path(path)
    shutil.copytree(root, into, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_WRITTEN, "__pycache__"))
    logged = {key: value for key, value in ref.params.items() if key != "prompt_template"}
    template = ref.params.get("prompt_template")
    params = asked.params_of(ref.task, logged, template)
    known = {**(old.metadata or {}), "adopted_from": ref.pinned}
    mlflow_model.metadata = stock.metadata(ref.task, known, None)
    theirs = getattr(old.signature, "params", None)
    given = ModelSignature(params=theirs) if theirs else None
    mlflow_model.signature = asked.signature(ref.task, params, given, template)
    example = _example(old, root, ref.task)
    if example is not None:
        _save_example(mlflow_model, example, str(into))
    for flavor in READ & old.flavors.keys():
        mlflow_model.add_flavor(flavor, **old.flavors[flavor])
    settings = {**_settings(old), **definition}
    engine_flavor.add(mlflow_model, into, task=ref.task, definition=settings, params=params)
    packages = requirements.needed(ref.task, [root, ref.model_dir], adapter=ref.adapter_dir is not None)
    requirements.write(into, packages)
    seal(mlflow_model, into)


def _settings(old: Model) -> dict[str, Any]:
    """How a model that was logged here is computed. Raises ModelError where a later release says it otherwise."""
    own = old.flavors.get("python_function", {}).get(KEY) or {}
    if own.get("format", FORMAT) > FORMAT:
        raise ModelError(
            f"expected a model of format {FORMAT} or before, embercast {own.get('release')} logged it in format "
            f"{own['format']}: adopt it with that release or a later"
        )
    return {one.name: own[one.name] for one in fields(Definition) if one.name in own.keys() - _NEW}


def _example(old: Model, root: Path, task: str) -> Any:
    """The input example in the columns of the task, if there is one and it fits."""
    given = old.load_input_example(str(root)) if old.saved_input_example_info else None
    if given is None:
        return None
    params = old.load_input_example_params(str(root))
    try:
        return example_of(task, (given, params) if params else given)
    except SchemaError as error:
        log.warning("the input example is left out: %s", error)
        return None
