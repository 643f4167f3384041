"""A tokenizer as the grammar library reads it: what each token adds to a text, in bytes. Runs in the worker."""

from __future__ import annotations

import json
from typing import Any

from engine.errors import ParameterError


def vocabulary_for(tokenizer: Any, size: int, ends: tuple[int, ...]) -> Any:
    """llguidance's LLTokenizer of a Hugging Face tokenizer; takes about half a second.

    Args:
        tokenizer: with a backend of the tokenizers library (byte-level BPE, or pieces with ▁ for a space).
        size: tokens that the model gives logits for; those that the tokenizer lacks are never allowed.
        ends: the tokens that end a text. All other special and added tokens are never allowed: what they write could
            be written without them.

    Raises ParameterError for a tokenizer whose tokens the library can't spell.
    """
    from llguidance import LLTokenizer

    backend = tokenizer.backend_tokenizer
    told = json.loads(backend.to_str())
    told.update(truncation=None, padding=None)
    for added in told["added_tokens"]:
        added["special"] = True
    try:
        return LLTokenizer(json.dumps(told), n_vocab=max(size, _tokens(backend)), eos_token=list(ends))
    except ValueError as error:
        raise ParameterError(f"response_format can't be held to with this tokenizer: {error}") from error


def check_tokenizer(tokenizer: Any, ends: tuple[int, ...]) -> None:
    """Raises ParameterError for a tokenizer that has no backend of the tokenizers library, and where nothing ends."""
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise ParameterError(
            f"response_format needs a tokenizer of the tokenizers library, got {type(tokenizer).__name__}: "
            "save the model with a fast tokenizer"
        )
    if not ends:
        raise ParameterError("response_format needs an end token, the model's tokenizer has none: set its eos_token")


def _tokens(backend: Any) -> int:
    return 1 + int(max(backend.get_vocab(with_added_tokens=True).values()))
