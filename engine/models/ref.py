"""What is pinned: one version of one model, its files on the driver, and what was logged with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ModelRef:
    """A resolved model. Lives on the driver.

    Args:
        uri: as the user wrote it.
        pinned: the same with its alias resolved, ``models:/name/3``; a folder's absolute path for a local folder.
        version: of the registered model, None for runs and folders.
        model_dir: configuration and weights, as ``save_pretrained`` writes them.
        tokenizer_dir: the tokenizer's files.
        features_dir: the feature extractor's files, of a model of audio.
        task: the task to score.
        dtype: as logged (float32, bfloat16, float16), where the model says it.
        params: the logged model's own inference parameters, under the task's names for them.
        adapter_dir: a PEFT adapter to merge into the weights of ``model_dir``.
        notes: what a person should know about the model before it scores, in sentences.
    """

    uri: str
    pinned: str
    version: str | None
    model_dir: Path
    tokenizer_dir: Path
    task: str
    dtype: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    adapter_dir: Path | None = None
    features_dir: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def known_as(self) -> str:
        """What to call it where rows are read: as it is pinned, a folder by its name alone."""
        return Path(self.pinned).name if Path(self.pinned).is_absolute() else self.pinned
