"""The language model that a CTC model may bring for its letters (``Wav2Vec2ProcessorWithLM``): seen, and not used."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from engine.models.folder import read_json

log = logging.getLogger(__name__)

#: Of ``Wav2Vec2ProcessorWithLM.save_pretrained``.
FOLDER: Final = "language_model"
_PREPARATION: Final = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")
_NOTE: Final = (
    "it brings a language model for beam search (pyctcdecode), which is not used: texts are the likeliest letters of "
    "the acoustic model alone, as transformers' pipeline writes them with decoder=None, and may be less exact"
)


def check(*folders: Path | None) -> tuple[str, ...]:
    """What is to be said of a model with a language model, told once more as a warning; nothing of one without.

    Args:
        folders: where its files lie; None is passed over.

    Runs on the driver.
    """
    if not any(_brings(folder) for folder in folders if folder is not None):
        return ()
    log.warning("the model: %s", _NOTE)
    return (_NOTE,)


def _brings(folder: Path) -> bool:
    if (folder / FOLDER).is_dir() or (folder / "alphabet.json").exists():
        return True
    named = (read_json(folder / name).get("processor_class") for name in _PREPARATION)
    return any(str(name).endswith("WithLM") for name in named)
