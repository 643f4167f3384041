"""The vocoder that lies beside a model of spectrograms: a SpeechT5HifiGan in the folder ``vocoder`` of the model's.

Neither transformers nor MLflow keeps one with its model; there it is found and carried.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError
from engine.models.manifest import WEIGHTS
from engine.models.tensors import map_tensors, write_tensors

FOLDER: Final = "vocoder"


def pack(model_dir: Path, dtype: str, into: Path) -> None:
    """Writes the vocoder of a model's folder into a bundle, in ``dtype``; nothing where there is none. On the driver.

    Raises ModelError where transformers can't read it.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import SpeechT5HifiGan

    source = model_dir / FOLDER
    if not source.exists():
        return
    try:
        made = SpeechT5HifiGan.from_pretrained(
            source, dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"expected a SpeechT5HifiGan that transformers loads at {source}, got: {error}") from error
    made.config.save_pretrained(into / FOLDER)
    write_tensors(made.state_dict(), into / FOLDER / WEIGHTS)


def load(folder: Path, device: str) -> Any:
    """The vocoder of a bundle, on a CPU over its file's mapping; None where there is no ``folder``. In the worker."""
    import torch
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig
    from transformers.initialization import no_init_weights

    if not folder.exists():
        return None
    with no_init_weights(), torch.device("meta"):
        made = SpeechT5HifiGan(SpeechT5HifiGanConfig.from_pretrained(folder, local_files_only=True))
    made.load_state_dict(map_tensors(folder / WEIGHTS), assign=True)
    return made.eval().requires_grad_(False).to(device)
