"""Up to how many tokens a model turns its positions alike, whatever is read at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def longest(model: Any) -> int | None:
    """Tokens of a text up to which the angles of its positions are the same; None where they always are.

    LongRoPE (Ding et al. 2024, arXiv:2402.13753) has other angles for all positions of a longer text, and transformers
    chooses them by the largest position of a pass: a long text would change the short ones beside it.
    """
    rope = getattr(model.config.get_text_config(decoder=True), "rope_parameters", None) or {}
    kinds = [rope, *(one for one in rope.values() if isinstance(one, Mapping))]
    bounds = [int(one["original_max_position_embeddings"]) for one in kinds if one.get("rope_type") == "longrope"]
    return min(bounds, default=None)
