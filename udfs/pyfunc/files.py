"""The parts of a model → the files of an artifact, where stock MLflow looks for them. Runs on the driver.

    model/                  configuration, weights, and what a sentence encoder or a voice ships beside them
    components/tokenizer/   feature_extractor/, image_processor/
    peft/                   an adapter

Of what is logged by reference MLmodel has names and commits instead, or the place of an adapter's base.
"""

from __future__ import annotations

import json
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError
from engine.models import hub, language_model, vocoder
from udfs.pyfunc import adapters
from udfs.pyfunc.parts import Parts

MODEL: Final = "model"
_COMPONENTS: Final = "components"
#: What sentence-transformers writes beside the configuration, and the tasks that read it.
_BESIDE: Final = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")
_READ_BESIDE: Final = ("embeddings", "list-embeddings", "llm/v1/embeddings", "reranking")


def write(parts: Parts, root: Path, *, by_reference: bool, base: Path | None) -> dict[str, Any]:
    """Writes the files, and returns what MLflow's ``transformers`` flavor says of them.

    Args:
        parts: of the model.
        root: of the artifact.
        by_reference: whether the weights stay where they are, on a hub.
        base: the folder that the base of an adapter stays in.

    Raises ModelError where the weights can't be referred to, or not be saved.
    """
    entries: dict[str, Any] = {"pipeline_model_type": parts.model_type, "source_model_name": parts.named}
    if base is not None:
        entries["local_base_model_path"] = str(base)
    elif by_reference:
        entries["source_model_revision"] = _commit(parts)
    else:
        _weights(parts, root / MODEL)
        entries["model_binary"] = MODEL
    entries["components"] = list(parts.components)
    for name, component in parts.components.items():
        entries[f"{name}_type"] = type(component).__name__
        if by_reference and base is None:
            entries[f"{name}_name"], entries[f"{name}_revision"] = _source(component, parts)
        else:
            component.save_pretrained(root / _COMPONENTS / name)
    if parts.adapter is not None:
        adapters.save(parts.adapter, root / adapters.FOLDER)
        entries["peft_adaptor"] = adapters.FOLDER
    return entries


def _commit(parts: Parts) -> str:
    if parts.vocoder is not None:
        raise ModelError("expected a model that its hub holds whole, this one has a vocoder: leave save_pretrained out")
    if not parts.named or Path(parts.named).is_dir():
        raise ModelError(
            f"expected a model of a hub, to which save_pretrained=False can refer, this one is from "
            f"{parts.named or 'memory'}: leave save_pretrained out, and its weights are logged with it"
        )
    return parts.commit or hub.commit_of(parts.named)


def _source(component: Any, parts: Parts) -> tuple[str, str]:
    """The hub's name and commit of a component: those of the model unless it came from elsewhere.

    Raises ModelError for one of a folder of its own, which no name of a hub's stands for.
    """
    name = getattr(component, "name_or_path", None)
    if name and Path(name).is_dir() and (parts.home is None or Path(name).resolve() != parts.home.resolve()):
        raise ModelError(
            f"expected a {type(component).__name__} of a hub, to which save_pretrained=False can refer, this one is "
            f"from the folder {name}: leave save_pretrained out, and it is logged with the model"
        )
    if not name or name == parts.named or Path(name).is_dir():
        return parts.named, _commit(parts)
    return name, hub.commit_of(name)


def _weights(parts: Parts, into: Path) -> None:
    from mlflow.environment_variables import MLFLOW_HUGGINGFACE_MODEL_MAX_SHARD_SIZE

    if parts.model is None:
        assert parts.home is not None
        _copy(parts.home, into)
    else:
        tensors = {} if parts.adapter is None else {"state_dict": adapters.base_tensors(parts.model)}
        parts.model.save_pretrained(into, max_shard_size=MLFLOW_HUGGINGFACE_MODEL_MAX_SHARD_SIZE.get(), **tensors)
        if parts.home is not None and parts.task in _READ_BESIDE:
            _copy_files(parts.home, into, _BESIDE)
            _copy_folders(parts.home, into, _modules(parts.home))
    if parts.vocoder is not None:
        parts.vocoder.save_pretrained(into / vocoder.FOLDER)
    elif parts.home is not None:
        _copy_folders(parts.home, into, (vocoder.FOLDER,))


def _copy(home: Path, into: Path) -> None:
    """What a bundle is made from and what stock MLflow loads; never code, pickles or a trainer's checkpoints."""
    _copy_files(home, into, hub.READ)
    _copy_folders(home, into, (language_model.FOLDER, "additional_chat_templates", *_modules(home)))


def _copy_files(home: Path, into: Path, patterns: tuple[str, ...]) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for path in home.iterdir():
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in patterns):
            shutil.copyfile(path, into / path.name)


def _copy_folders(home: Path, into: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if (home / name).is_dir():
            _copy_files(home / name, into / name, hub.READ)


def _modules(home: Path) -> tuple[str, ...]:
    """The folders of sentence-transformers' modules, which lie in the model's own."""
    file = home / _BESIDE[0]
    listed = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return tuple(one["path"] for one in listed if one["path"] and Path(one["path"]).name == one["path"])
