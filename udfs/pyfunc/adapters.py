"""A PEFT adapter beside its base, each as it would be saved alone. Runs on the driver."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError
from engine.models.adapter import INJECTED, WEIGHTS

#: Where MLflow keeps it.
FOLDER: Final = "peft"
_CONFIG: Final = "adapter_config.json"
_ADDED: Final = re.compile(r"\.(lora_\w+|modules_to_save)\.")


def save(adapter: Any, into: Path) -> None:
    """Writes the active adapter of a PEFT model, or that of a folder."""
    if isinstance(adapter, Path):
        into.mkdir()
        for name in (_CONFIG, WEIGHTS):
            shutil.copyfile(adapter / name, into / name)
        return
    active = adapter.active_adapter
    adapter.save_pretrained(into, selected_adapters=[active])
    if (into / active).is_dir():  # PEFT gives any but "default" a folder of its own, in which MLflow doesn't look
        for path in (into / active).iterdir():
            path.rename(into / path.name)
        (into / active).rmdir()


def base_tensors(base: Any) -> dict[str, Any]:
    """The parameters of a model that PEFT put an adapter into, as they are called without it.

    MLflow saves them under PEFT's names, of which ``from_pretrained`` finds none again and draws them at random.
    Raises ModelError where the adapter is merged into them.
    """
    if any(getattr(module, "merged", False) for module in base.modules()):
        raise ModelError("expected an adapter beside its base, it is merged: log merge_and_unload(), or unmerge first")
    found = {name: tensor for name, tensor in base.state_dict().items() if not _ADDED.search(name)}
    return {_plain(name): tensor for name, tensor in found.items()}


def _plain(name: str) -> str:
    for pattern, plain in INJECTED.items():
        name = re.sub(pattern, plain, name)
    return name
