"""What is logged → its parts: a model in memory or the folder of its files, and what prepares its inputs.

Of files no weights are loaded: configuration, tokenizer and feature extractor say enough. Runs on the driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError, UnsupportedTaskError
from engine.models import folder, hub, names
from engine.models.auto import auto_class
from engine.schema import schema_of
from engine.tasks import task_class

#: What prepares inputs, as MLflow calls it.
COMPONENTS: Final = ("feature_extractor", "tokenizer", "image_processor")
#: What a task's class needs → what MLflow calls it.
_NEEDED: Final = {"tokenizer": "tokenizer", "features": "feature_extractor"}
_KEYS: Final = ("model", *COMPONENTS, "processor", "vocoder", "torch_dtype")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What an artifact is written from.

    Args:
        task: of the table.
        said: the task as it was given, which may name languages.
        model_type: transformers' class of the model.
        components: what prepares the inputs, by MLflow's names.
        named: where the model is from: a hub's name or a folder.
        commit: of the hub; None for a folder.
        model: in memory, the base where there is an adapter; None where the files in ``home`` are the model.
        home: the folder of its files on this machine, where there is one.
        adapter: a PEFT model in memory, or the folder of an adapter.
        vocoder: in memory.
        dtype: of the weights in memory, or that they shall be loaded in.
    """

    task: str
    said: str
    model_type: str
    components: Mapping[str, Any]
    named: str
    commit: str | None = None
    model: Any = None
    home: Path | None = None
    adapter: Any = None
    vocoder: Any = None
    dtype: Any = None


def parts_of(
    given: Any, *, task: str | None, processor: Any = None, revision: str | None = None, base: str | Path | None = None
) -> Parts:
    """The parts of a model that is given as ``udfs.pyfunc.log_model`` takes it.

    Args:
        given: a pipeline, a dictionary of components, a local folder of a model or of a LoRA adapter, or a hub's name.
        task: None takes what the model says.
        processor: holds a tokenizer and a feature extractor.
        revision: of the hub: a commit, a tag or a branch.
        base: the folder of the model that an adapter's folder is of; None takes what the adapter names.

    Raises ModelNotFoundError, UnsafeModelError, UnsupportedTaskError or ModelError.
    """
    import transformers

    if isinstance(given, str | Path):
        return _of_files(str(given), task=task, processor=processor, revision=revision, base=base)
    if isinstance(given, transformers.Pipeline):
        held = {name: getattr(given, name, None) for name in _KEYS if name != "torch_dtype"}
        return _of_objects(held, task or given.task, processor, revision)
    if not isinstance(given, Mapping) or "model" not in given or given.keys() - {*_KEYS}:
        got = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        raise ModelError(
            f"expected a pipeline, a dictionary of {', '.join(_KEYS)}, a folder or a hub's name, got {got or 'nothing'}"
        )
    return _of_objects(given, task, processor, revision)


def _of_objects(given: Mapping[str, Any], task: str | None, processor: Any, revision: str | None) -> Parts:
    import transformers
    from mlflow.transformers.peft import get_peft_base_model, is_peft_model

    adapted = is_peft_model(given["model"])
    model = get_peft_base_model(given["model"]) if adapted else given["model"]
    if not isinstance(model, transformers.PreTrainedModel):
        raise ModelError(f"expected a model of transformers or a PEFT model, got a {type(model).__name__}")
    if len(set(getattr(model, "hf_device_map", {}).values())) > 1:
        raise ModelError("expected a model on one device, this one is spread over several: load it without device_map")
    kind = type(model).__name__
    said = task or folder.task_of([kind])
    if said is None:
        raise UnsupportedTaskError(f"a {kind} does not say its task: give task=, `embercast tasks` lists them")
    home, commit = _origin(model.name_or_path, revision or getattr(model.config, "_commit_hash", None))
    return Parts(
        task=_known(said),
        said=said,
        model_type=kind,
        components=_components(given, processor or given.get("processor"), _known(said)),
        named=model.name_or_path,
        commit=commit,
        model=model,
        home=home,
        adapter=given["model"] if adapted else None,
        vocoder=given.get("vocoder"),
        dtype=given.get("torch_dtype") or model.dtype,
    )


def _of_files(given: str, *, task: str | None, processor: Any, revision: str | None, base: str | Path | None) -> Parts:
    home = Path(f"/dbfs{given[5:]}" if given.startswith("dbfs:") else given).expanduser()
    commit = None if home.is_dir() else hub.commit_of(given, revision)
    home = home.resolve() if commit is None else hub.find(given, commit)
    if (home / "adapter_config.json").exists() and not (home / "config.json").exists():
        return replace(_base(home, task, processor, base), adapter=home)
    folder.check(home, home)
    said = task or folder.infer_task(home)
    if said is None:
        raise UnsupportedTaskError(f"{given} does not say its task: give --task (task=), `embercast tasks` lists them")
    folder.check_task(home, _known(said))
    return Parts(
        task=_known(said),
        said=said,
        model_type=_model_type(_known(said), home),
        components=_components(_read(home, _known(said)), processor, _known(said)),
        named=given if commit else str(home),
        commit=commit,
        home=home,
    )


def _base(adapter: Path, task: str | None, processor: Any, base: str | Path | None) -> Parts:
    """The parts of the model that an adapter's folder is of."""
    config = folder.read_json(adapter / "adapter_config.json")
    named = base or config.get("base_model_name_or_path")
    if not named:
        raise ModelError(f"expected the base of the adapter in {adapter}, which names none: give base_model_path")
    return _of_files(str(named), task=task, processor=processor, revision=config.get("revision"), base=None)


def _known(said: str) -> str:
    """The task of the table. Raises UnsupportedTaskError."""
    task = names.task_of(said)
    schema_of(task)
    return task


def _model_type(task: str, home: Path) -> str:
    """The class that loads the folder for the task: its own where that is among those that do."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(home, local_files_only=True, trust_remote_code=False)
    known = auto_class(task, home)._model_mapping
    if type(config) not in known:
        raise UnsupportedTaskError(f"expected a model that {task} runs, got a {config.model_type}: give its own task")
    found = known[type(config)]
    classes = [one.__name__ for one in (found if isinstance(found, tuple) else (found,))]
    return str(next((one for one in config.architectures or () if one in classes), classes[0]))


def _read(home: Path, task: str) -> dict[str, Any]:
    """What prepares a task's inputs, from its files."""
    from engine.models.load import load_features, load_tokenizer

    load = {"tokenizer": load_tokenizer, "features": load_features}
    try:
        found = {_NEEDED[need]: load[need](home) for need in task_class(task).needs if need in _NEEDED}
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"expected what prepares the inputs of {task} in {home}, got: {error}") from error
    for one in found.values():
        if "local_files_only" in getattr(one, "init_kwargs", {}):
            one.init_kwargs["local_files_only"] = False  # which would be saved with it
    return found


def _components(given: Mapping[str, Any], processor: Any, task: str) -> dict[str, Any]:
    """Those given, else those that the processor holds. Raises ModelError where the task needs another."""
    held = {name: given[name] if given.get(name) is not None else getattr(processor, name, None) for name in COMPONENTS}
    found = {name: one for name, one in held.items() if one is not None}
    for need in task_class(task).needs:
        if need in _NEEDED and _NEEDED[need] not in found:
            raise ModelError(f"expected a {_NEEDED[need]} beside the model, which {task} needs: log it with the model")
    return found


def _origin(named: str, revision: str | None) -> tuple[Path | None, str | None]:
    """The folder that a model in memory was loaded from, if it is still there, and the hub's commit, if it has one."""
    if not named or Path(named).is_dir():
        return (Path(named).resolve() if named else None), None
    found = hub.cached(named, revision)
    return found, (found.name if found is not None else None)
