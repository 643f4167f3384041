"""A logged model that is no transformers flavor: its whole folder, pinned and carried as it is. Runs on the driver."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError, UnsupportedTaskError
from engine.models import cache, flavor
from engine.models.bundle import Bundle
from engine.models.manifest import FILE, Manifest, file_digests
from engine.models.ref import ModelRef
from engine.tasks import PYFUNC

#: The dtype of a model whose own code chooses it.
OWN: Final = "own"


def flavors(root: Path) -> Mapping[str, Any]:
    """The flavors that an artifact's MLmodel names."""
    found: Mapping[str, Any] = flavor.described(root).get("flavors") or {}
    return found


def pyfunc_ref(uri: str, pinned: str, version: str | None, root: Path, *, task: str | None) -> ModelRef:
    """The ref of an artifact that runs through MLflow's ``python_function`` flavor, with whatever code it brings.

    That code is allowed already (``engine.models.safety``). Raises ModelError without that flavor, UnsupportedTaskError
    where a task is asked of it.
    """
    found = flavors(root)
    if "python_function" not in found:
        raise ModelError(
            f"expected a model with a transformers or a python_function flavor, {uri} has {', '.join(found)}"
        )
    if task is not None:
        raise UnsupportedTaskError(f"{uri} is a PyFunc, which has no task, got {task}: leave the task out")
    return ModelRef(uri=uri, pinned=pinned, version=version, model_dir=root, tokenizer_dir=root, task=PYFUNC)


def make_artifact_bundle(ref: ModelRef, *, root: Path | None = None) -> Bundle:
    """The bundle of an artifact: its files, digested, and a manifest."""
    import engine

    files = {name: seen for name, seen in file_digests(ref.model_dir).items() if "__pycache__" not in name}
    manifest = Manifest(
        task=ref.task,
        dtype=OWN,
        parameters=0,
        hidden=0,
        weight_bytes=sum(size for _, size in files.values()),
        tied={},
        max_length=None,
        pooling="mean",
        normalize=False,
        special_tokens=0,
        made_with={"engine": engine.__version__},
        files=files,
    )

    def write(into: Path) -> None:
        shutil.copytree(ref.model_dir, into, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        (into / FILE).write_text(manifest.to_json(), encoding="utf-8")

    return Bundle(cache.ensure(manifest.digest, write, root=root), manifest)
