"""The model card and the licence in an artifact, in the files that stock MLflow writes. Runs on the driver.

They are those that are given or lie beside the model's files; no hub is asked.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

_TEXT: Final = "model_card.md"
_DATA: Final = "model_card_data.yaml"
_LICENSE: Final = "LICENSE.txt"


def write(root: Path, card: Any, home: Path | None) -> None:
    """Writes card and licence.

    Args:
        root: of the artifact.
        card: huggingface_hub's ModelCard, or the text of one; None takes the README.md of ``home``.
        home: the folder of the model's files.
    """
    import yaml
    from huggingface_hub import ModelCard

    if card is None and home is not None and (home / "README.md").exists():
        card = (home / "README.md").read_text(encoding="utf-8")
    made = ModelCard(card, ignore_metadata_errors=True) if isinstance(card, str) else card
    if made is not None:
        (root / _TEXT).write_text(made.text, encoding="utf-8")
        (root / _DATA).write_text(yaml.safe_dump(made.data.to_dict(), default_flow_style=False), encoding="utf-8")
    files = [path for path in home.iterdir() if path.stem.lower() in ("license", "licence")] if home is not None else []
    declared = getattr(made.data, "license", None) if made is not None else None
    if files:
        shutil.copyfile(files[0], root / files[0].name)
    elif declared:
        (root / _LICENSE).write_text(f"The declared license type is: '{declared}'\n", encoding="utf-8")
