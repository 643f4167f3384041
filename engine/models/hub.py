"""Weights that a logged model only names: a folder, or a commit in the Hugging Face cache of the driver.

The network is asked only where the cache lacks the commit and HF_HUB_OFFLINE is not set. Runs on the driver.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.errors import ModelNotFoundError

#: What a bundle is made from: safetensors, configuration and tokenizer; never code or pickles.
READ: Final = ("*.json", "*.safetensors", "*.txt", "*.model", "*.spm", "*.jinja", "*.tiktoken")
#: What the cache has where it has a part of a model: one of these files.
_FILES: Final = {
    "model": ("config.json",),
    "tokenizer": ("tokenizer_config.json", "tokenizer.json"),
    "feature_extractor": ("preprocessor_config.json", "processor_config.json"),
}


def find(name: str, revision: str | None, *, part: str = "model") -> Path:
    """The files of a model at one commit.

    Args:
        name: as MLflow wrote it down: a hub's name, or an absolute path.
        revision: the commit; a hub's name without one would mean other weights tomorrow.
        part: model, whose safetensors have to be among the files, tokenizer or feature_extractor.

    Raises ModelNotFoundError where they can't be reached from here.
    """
    from huggingface_hub.errors import HFValidationError

    if Path(name).is_absolute():
        if not Path(name).is_dir():
            raise ModelNotFoundError(f"this driver has no folder {name}")
        return Path(name)
    if not revision:
        raise ModelNotFoundError(f"no commit of {name} was logged")
    try:
        seen = [_cached(name, revision, file) for file in _FILES[part]]
    except HFValidationError as error:
        raise ModelNotFoundError(f"expected a hub's name or an absolute path, got {name}") from error
    cached = next((folder for folder in seen if folder is not None), None)
    if cached is not None and (part != "model" or any(cached.glob("*.safetensors"))):
        return cached
    return _fetch(name, revision)


def cached(name: str, revision: str | None = None) -> Path | None:
    """The folder of a model in the cache, named by its commit; None where the cache has none of that name.

    Args:
        name: of the hub.
        revision: a commit, a tag or a branch; None is ``main`` as ``from_pretrained`` found it last.
    """
    from huggingface_hub.errors import HFValidationError

    try:
        return _cached(name, revision or "main", "config.json")
    except HFValidationError:  # no name of a hub's
        return None


def commit_of(name: str, revision: str | None = None) -> str:
    """The commit that a revision of a model on the hub stands for, which the cache says where it knows.

    Raises ModelNotFoundError.
    """
    found = cached(name, revision)
    return found.name if found is not None else _ask(name, revision)


def _ask(name: str, revision: str | None) -> str:
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx's or httpx2's, by release

    asked = f"{name}@{revision or 'main'}"
    if constants.HF_HUB_OFFLINE:
        raise ModelNotFoundError(
            f"expected a folder or a model in {constants.HF_HUB_CACHE}, which does not have {asked}, and "
            "HF_HUB_OFFLINE is set"
        )
    try:
        return str(huggingface_hub.model_info(name, revision=revision).sha)
    except (OSError, ValueError, HTTPError) as error:
        raise ModelNotFoundError(f"expected the commit of {asked}, and the hub answers: {error}") from error


def _cached(name: str, revision: str, file: str) -> Path | None:
    """The commit's folder where the cache has this file of it: from_pretrained fetches no more than it reads."""
    import huggingface_hub
    from huggingface_hub import constants

    found = huggingface_hub.try_to_load_from_cache(name, file, cache_dir=constants.HF_HUB_CACHE, revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def _fetch(name: str, revision: str) -> Path:
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx's or httpx2's, by release

    if constants.HF_HUB_OFFLINE:
        raise ModelNotFoundError(f"{constants.HF_HUB_CACHE} does not have {name}@{revision}, and HF_HUB_OFFLINE is set")
    try:
        return Path(huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=list(READ)))
    except (OSError, ValueError, HTTPError) as error:
        raise ModelNotFoundError(
            f"{constants.HF_HUB_CACHE} does not have {name}@{revision}, and the hub answers: {error}"
        ) from error
