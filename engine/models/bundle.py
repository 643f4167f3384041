"""A bundle: a model in the dtype it will run in, its tokenizer and a manifest, in one content-addressed folder.

Weights are written as they lie in memory after transformers has loaded (renamed, merged, cast) them, so that a worker
maps them without touching a byte. Runs on the driver.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError, UnsupportedTaskError
from engine.models import activation, adapter, cache, language_model, pooling, quantized, vocoder
from engine.models.auto import auto_class
from engine.models.eviction import hold
from engine.models.locks import locked
from engine.models.manifest import BASE, FILE, WEIGHTS, Manifest, file_digests
from engine.models.ref import ModelRef
from engine.models.safety import pickles
from engine.models.spill import spilled
from engine.models.tensors import write_tensors
from engine.tasks import task_class

log = logging.getLogger(__name__)

_NOT_TOKENIZER: Final = (
    *pickles.PATTERNS,
    "*.safetensors",
    "*.h5",
    "*.msgpack",
    "*.onnx",
    "*.md",
    "*.py",
    "config.json",
    "*.index.json",
)


@dataclass(frozen=True)
class Bundle:
    """A bundle on this host. ``path`` is the folder; the rest is what its manifest says."""

    path: Path
    manifest: Manifest

    @property
    def digest(self) -> str:
        """The name of its bytes: equal models in equal dtypes have equal digests."""
        return self.manifest.digest

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        return self.manifest.nbytes


def make_bundle(ref: ModelRef, dtype: str, *, root: Path | None = None) -> Bundle:
    """The bundle of a resolved model in ``dtype``; found again where the same was made before.

    Raises UnsupportedTaskError where the checkpoint lacks weights of the task's head, ModelError where transformers
    can't read it.
    """
    home = root or cache.cache_root()
    known = home / "known" / f"{_source_key(ref, dtype)}.digest"
    found = _known(home, known)
    if found is not None:
        return found
    known.parent.mkdir(mode=0o700, exist_ok=True)
    with locked(known.with_suffix(".lock")):  # a host's workers may come together: one loads, the others wait
        return _known(home, known) or _make(ref, dtype, home, known)


def _known(home: Path, known: Path) -> Bundle | None:
    if not known.exists():
        return None
    found = home / "bundles" / known.read_text(encoding="utf-8")
    if cache.evicts(home):
        hold(found)
    return Bundle(found, Manifest.read(found)) if cache.is_whole(found) else None


def _make(ref: ModelRef, dtype: str, home: Path, known: Path) -> Bundle:
    with cache.workspace(home) as made:
        manifest = _write(ref, dtype, made)
        path = cache.ensure(manifest.digest, lambda into: _move(made, into), root=home)
    cache.write_atomically(known, manifest.digest)
    return Bundle(path, manifest)


def _write(ref: ModelRef, dtype: str, into: Path) -> Manifest:
    with spilled(into):
        model, changed = _load(ref, dtype)
    tensors, tied = _tensors(model)
    if changed:
        write_tensors({name: one for name, one in tensors.items() if name not in changed}, into / BASE)
    write_tensors({name: one for name, one in tensors.items() if not changed or name in changed}, into / WEIGHTS)
    model.config.save_pretrained(into)
    if model.can_generate():
        model.generation_config.save_pretrained(into)
    _copy_preparation(ref, into)
    if vocoder.FOLDER in _needs(ref.task):
        vocoder.pack(ref.model_dir, dtype, into)
    shipped = pooling.read(ref.model_dir)
    manifest = Manifest(
        task=ref.task,
        dtype=dtype,
        parameters=sum(p.numel() for p in model.parameters()),
        hidden=int(getattr(model.config.get_text_config(), "hidden_size", 0) or 0),
        weight_bytes=sum(t.numel() * t.element_size() for t in tensors.values()),
        tied=tied,
        max_length=shipped.max_length,
        pooling=shipped.pooling,
        normalize=shipped.normalize,
        special_tokens=_special_tokens(ref, into),
        made_with=_versions(),
        files=file_digests(into),
        labels=int(getattr(model.config, "num_labels", 0) or 0),
        activation=activation.read(ref.model_dir),
    )
    (into / FILE).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def _load(ref: ModelRef, dtype: str) -> tuple[Any, set[str]]:
    """The model as it will run, and the parameters that an adapter changed."""
    import torch
    import transformers
    from safetensors import SafetensorError

    auto = auto_class(ref.task, ref.model_dir)
    transformers.utils.logging.disable_progress_bar()
    try:
        model, info = auto.from_pretrained(
            ref.model_dir,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            key_mapping=adapter.INJECTED if ref.adapter_dir else None,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"expected a model that transformers {transformers.__version__} loads at {ref.uri}, got: {error}"
        ) from error
    unused = {name for name in info["missing_keys"] if name.split(".")[0] in task_class(ref.task).unused}
    missing = set(info["missing_keys"]) - unused
    if ref.adapter_dir is not None:
        missing -= adapter.given(ref.adapter_dir, missing)
    if missing:
        raise UnsupportedTaskError(
            f"{ref.uri} has no weights for {', '.join(sorted(missing)[:5])}, which {ref.task} needs: "
            "give the task it was trained for, or log the fine-tuned model"
        )
    for name in unused:
        model.get_parameter(name).data.zero_()  # drawn at random: equal models would not have equal digests
    model = quantized.dequantize(model, dtype)
    changed = adapter.merge(model, ref.adapter_dir) if ref.adapter_dir is not None else set()
    return model.eval(), changed


def _copy_preparation(ref: ModelRef, into: Path) -> None:
    """The files of what prepares the inputs: ``tokenizer`` and ``features``, where the task needs them."""
    sources = {"tokenizer": ref.tokenizer_dir, "features": ref.features_dir}
    for name in sources.keys() & {*_needs(ref.task)}:
        shutil.copytree(sources[name] or ref.model_dir, into / name, ignore=_ignore, dirs_exist_ok=True)
        shutil.copy(ref.model_dir / "config.json", into / name / "config.json")


def _needs(task: str) -> tuple[str, ...]:
    needs: tuple[str, ...] = task_class(task).needs
    return needs


def _special_tokens(ref: ModelRef, into: Path) -> int:
    """Loads what prepares the inputs as the workers will, so that a broken one is known on the driver."""
    from engine.models.load import load_features, load_tokenizer

    what, special = "", 0
    try:
        if "features" in _needs(ref.task):
            what = "feature extractor"
            load_features(into / "features")
        if "tokenizer" in _needs(ref.task):
            what = "tokenizer"
            loaded = load_tokenizer(into / "tokenizer")
            pair = loaded.__class__.__name__ == "TapasTokenizer"  # takes nothing but pairs, and raises
            special = int(loaded.num_special_tokens_to_add(pair=pair))
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"expected a {what} that transformers loads at {ref.uri}, got: {error}") from error
    return special


def _tensors(model: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Every parameter and buffer once, and the names that share the storage of another."""
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    tensors: dict[str, Any] = {}
    tied: dict[str, str] = {}
    first: dict[int, str] = {}
    for name, tensor in named:
        if id(tensor) in first:
            tied[name] = first[id(tensor)]
        else:
            first[id(tensor)] = name
            tensors[name] = tensor
    return tensors, tied


def _ignore(directory: str, names: list[str]) -> set[str]:
    other = (language_model.FOLDER, vocoder.FOLDER, "onnx", "openvino", ".git*")
    return shutil.ignore_patterns(*_NOT_TOKENIZER, *other)(directory, names)


def _move(source: Path, into: Path) -> None:
    for path in source.iterdir():
        path.rename(into / path.name)


def _source_key(ref: ModelRef, dtype: str) -> str:
    """One name for everything a bundle is made from: the model's files, the task, the dtype and the versions."""
    import hashlib
    import json

    named = {"model": ref.model_dir, "tokenizer": ref.tokenizer_dir, "adapter": ref.adapter_dir}
    if "features" in _needs(ref.task):
        named["features"] = ref.features_dir
    digests = {folder: file_digests(folder) for folder in named.values() if folder is not None}
    files = {name: digests[folder] for name, folder in named.items() if folder is not None}
    return hashlib.sha256(json.dumps([files, ref.task, dtype, _versions()], sort_keys=True).encode()).hexdigest()


def _versions() -> dict[str, str]:
    import engine

    return {"engine": engine.__version__, "transformers": version("transformers")}
