"""What a sentence-transformers folder ships about pooling.

Files: modules.json, <n>_Pooling/config.json, sentence_bert_config.json
(https://www.sbert.net/docs/sentence_transformer/usage/custom_models.html).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError
from engine.models.folder import read_json

_MODES: Final = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
_MODULES: Final = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True)
class Shipped:
    """Pooling (mean, cls or last), whether vectors are normalized, and the longest input in tokens."""

    pooling: str = "mean"
    normalize: bool = False
    max_length: int | None = None


def read(model_dir: Path) -> Shipped:
    """What the folder ships; the defaults where it ships nothing. Runs on the driver.

    Raises ModelError for modules and pooling modes that would have to change the vectors and that we don't have.
    """
    modules_file = model_dir / "modules.json"
    if not modules_file.exists():
        return Shipped()
    modules: list[dict[str, Any]] = json.loads(modules_file.read_text(encoding="utf-8"))
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    unknown = [kind for kind in kinds if kind not in _MODULES]
    if unknown:
        raise ModelError(f"expected modules {', '.join(_MODULES)} in {modules_file}, got {', '.join(unknown)} as well")
    folders = [model_dir / module["path"] for module, kind in zip(modules, kinds, strict=True) if kind == "Pooling"]
    limit = read_json(model_dir / "sentence_bert_config.json").get("max_seq_length")
    return Shipped(_mode(folders[0]) if folders else "mean", "Normalize" in kinds, limit)


def _mode(folder: Path) -> str:
    config = read_json(folder / "config.json")
    asked = [name for name, value in config.items() if name.startswith("pooling_mode_") and value is True]
    if len(asked) != 1 or asked[0] not in _MODES:
        raise ModelError(
            f"expected one pooling mode of {', '.join(_MODES)} in {folder}, got {', '.join(asked) or 'none'}"
        )
    return _MODES[asked[0]]
