"""The Hugging Face folder that vLLM loads a bundle's model from. Runs in the worker.

A bundle lies as transformers has a model in memory: experts merged, rotary frequencies and padding beside the weights.
vLLM reads checkpoints, by the names that the hub has them under, and refuses others. So the weights are written once
more on each host, by transformers, which knows both layouts; the tokenizer stays where it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.models import cache
from engine.models.locks import locked
from engine.models.manifest import Manifest


def checkpoint(model: Any, manifest: Manifest, *, root: Path | None = None) -> Path:
    """The folder of a model on this host; where it is missing, one process writes it and the others wait.

    Args:
        model: as ``engine.models.load`` gives it, on the CPU.
        manifest: of its bundle, whose digest names the folder.
        root: the cache folder; None takes ``engine.models.cache.cache_root()``.
    """
    import transformers

    home = root or cache.cache_root()
    folders = home / "checkpoints"
    folders.mkdir(mode=0o700, exist_ok=True)
    folder = folders / manifest.digest
    if folder.exists():
        return folder
    with locked(folders / f"{manifest.digest}.lock"):
        if folder.exists():
            return folder
        with cache.workspace(home) as made:
            (made / "checkpoint").mkdir()
            transformers.utils.logging.disable_progress_bar()
            model.save_pretrained(made / "checkpoint")
            (made / "checkpoint").rename(folder)  # all of it or nothing
    return folder
