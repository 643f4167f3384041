"""Paths that leave a model's folder: in its files, and links on the disk. Runs on the driver."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any, Final

from engine.errors import UnsafeModelError
from engine.models.safety import read_json

#: Fields of MLmodel's flavors that name something in its folder. What lies elsewhere on purpose has fields of its own
#: (source_model_name, local_base_model_path); of a model_code_path MLflow reads the file's name alone.
_FIELDS: Final = frozenset(
    ("artifact_path", "code", "conda", "data", "model_binary", "path", "peft_adaptor", "pipeline", "python_model")
) | {"virtualenv"}
_ADVICE: Final = "nothing outside of a model's folder is read for it: log the model again, with its files in it"


def check(uri: str, root: Path, described: Mapping[str, Any]) -> None:
    """Raises UnsafeModelError where a field of MLmodel, or a link in the folder, leads out of it."""
    parts = {name: described.get(name) for name in ("flavors", "saved_input_example_info")}
    for field, value in _fields(parts):
        if leaves(value):
            raise UnsafeModelError(
                f"expected {field} in the MLmodel of {uri} to name a file in its folder, got {value}: {_ADVICE}"
            )
    home = os.path.realpath(root)
    for path in _walk(root):
        if Path(os.path.realpath(path)).is_relative_to(home) and (path.is_file() or path.is_dir()):
            continue
        raise UnsafeModelError(
            f"expected files and folders in {uri}, {path.relative_to(root)} is a link that leads out of it or nowhere, "
            f"or a device: {_ADVICE}"
        )


def check_model(folder: Path) -> None:
    """Raises UnsafeModelError where a transformers folder names weights or modules outside of it, or pickles."""
    config = folder / "config.json"
    named = read_json(config).get("transformers_weights") if config.exists() else None
    if named and (leaves(named) or not named.endswith((".safetensors", ".safetensors.index.json"))):
        raise UnsafeModelError(f"expected {config} to name safetensors files beside it, got {named}: {_ADVICE}")
    for index in folder.glob("*.safetensors.index.json"):
        for name in set((read_json(index).get("weight_map") or {}).values()):
            if leaves(name) or not name.endswith(".safetensors"):
                raise UnsafeModelError(f"expected {index} to name safetensors files beside it, got {name}: {_ADVICE}")
    modules = folder / "modules.json"
    for module in read_json(modules) if modules.exists() else ():
        if leaves(module.get("path") or ""):
            raise UnsafeModelError(f"expected {modules} to name folders beside it, got {module['path']}: {_ADVICE}")


def leaves(path: str) -> bool:
    """Whether a path, as it is written, is absolute or goes up."""
    parts = PureWindowsPath(path)  # knows both separators
    return path.startswith("/") or bool(parts.drive or parts.root) or ".." in parts.parts


def _fields(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key != "config":  # the model's own parameters, named as their task likes
                yield from _fields(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _fields(one, name)
    elif isinstance(value, str) and name in _FIELDS:
        yield name, value


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        yield from (Path(folder, name) for name in (*folders, *files))
