"""What a cross-encoder's folder names to make scores of its logits.

Files, newest first: config_sentence_transformers.json (sentence-transformers 6), config.json with
``sentence_transformers`` (4 and 5) or ``sbert_ce_default_activation_function`` (before)
(https://www.sbert.net/docs/package_reference/cross_encoder/cross_encoder.html).
"""

from __future__ import annotations

from pathlib import Path

from engine.models.folder import read_json


def read(model_dir: Path) -> str | None:
    """The dotted name of the activation, as ``torch.nn.modules.linear.Identity``; None without one. On the driver."""
    config = read_json(model_dir / "config.json")
    named = (
        read_json(model_dir / "config_sentence_transformers.json").get("activation_fn"),
        (config.get("sentence_transformers") or {}).get("activation_fn"),
        config.get("sbert_ce_default_activation_function"),
    )
    return next((str(name) for name in named if name), None)
