"""How long an input may be: what tokenizer, model and job allow."""

from __future__ import annotations

from typing import Any


def longest_input(model: Any, tokenizer: Any, shipped: int | None, asked: int | None) -> int | None:
    """Tokens a sequence may have: the least of what tokenizer, position table, shipped configuration and job allow.

    None where nothing limits it (relative positions).
    """
    limits = [asked, shipped, tokenizer.model_max_length if tokenizer.model_max_length < 1_000_000 else None]
    limits.append(positions(model))
    return min((limit for limit in limits if limit), default=None)


def positions(model: Any) -> int | None:
    """Tokens the model has positions for; None where positions are not counted."""
    # RoBERTa's kin number positions from padding_idx + 1, so that many rows of the table are never used for tokens.
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == "position_embeddings" and hasattr(module, "num_embeddings"):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - unused
    limit = getattr(model.config, "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 0 else None
