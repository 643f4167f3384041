"""The licence that a model's card states, as MLflow and the hub keep cards. Runs on the driver.

The first of these that states one: model_card_data.yaml and model_card.md of MLflow's transformers flavor, README.md of
a folder from the hub, whose YAML head holds the same (https://huggingface.co/docs/hub/model-cards#model-card-metadata).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError

_CARDS: Final = ("model_card_data.yaml", "model_card.md", "README.md", "model/README.md")
_HEAD: Final = "---"
#: What a card writes where ``license_name`` says more.
_OTHER: Final = "other"


def stated(root: Path) -> tuple[str, ...]:
    """The licences that the card in ``root`` states, in lower case; none where it states none, or there is no card.

    Raises ModelError for a card that can't be read.
    """
    for path in (root / name for name in _CARDS):
        card = _card(path) if path.is_file() else {}
        named = card.get("license")
        if named == _OTHER:
            named = card.get("license_name") or named
        if named:
            return tuple(str(one).lower() for one in (named if isinstance(named, list) else [named]))
    return ()


def _card(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeError as error:
        raise ModelError(f"expected a model card in UTF-8 in {path}, whose licence is asked for: mend it") from error
    if path.suffix == ".md":
        start, _, rest = text.lstrip().partition("\n")
        text = rest.partition(f"\n{_HEAD}")[0] if start.strip() == _HEAD else ""
    try:
        card = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ModelError(
            f"expected a model card with YAML at its head in {path}, whose licence is asked for: mend it, and log the "
            f"model again ({type(error).__name__})"
        ) from error
    return card if isinstance(card, Mapping) else {}
