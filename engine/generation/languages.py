"""How a translating model is told its languages: by a prefix in words, by a language token, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from engine.errors import RowError
from engine.tasks.tokens import TOKENIZING


def spoken(specific: Mapping[str, Any], tokenizer: Any, source: str | None, target: str | None) -> Mapping[str, Any]:
    """What the model says for a pair of languages, as the old translation pipeline read it; ``prefix`` among it.

    T5 has an entry translation_en_to_de in its ``specific`` parameters, Marian models of several target languages take
    ``>>fra<<`` before the text. Raises RowError(invalid_parameter) for languages that such a model does not have.
    """
    pairs = [name for name in specific if name.startswith("translation_")]
    if pairs and (source, target) != (None, None):
        name = f"translation_{source}_to_{target}"
        if name not in pairs:
            raise _unknown("source_language and target_language", "as in " + ", ".join(pairs))
        return dict(specific[name])
    codes = getattr(tokenizer, "supported_language_codes", None) or []
    if codes and target is not None:
        if f">>{target}<<" not in codes:
            raise _unknown("target_language", "among " + ", ".join(code.strip("<>") for code in codes))
        return {"prefix": f">>{target}<< "}
    return {}


def target_token(tokenizer: Any, target: str | None) -> int | None:
    """The token a text in this language begins with; None where the tokenizer has none for languages, or none is asked.

    Raises RowError(invalid_parameter) for a language that it does not have.
    """
    return (
        None if target is None or not hasattr(tokenizer, "src_lang") else _token(tokenizer, target, "target_language")
    )


@contextmanager
def reading(tokenizer: Any, source: str | None) -> Iterator[None]:
    """The tokenizer marks texts as of this language within the block; one without language tokens marks none."""
    if source is None or not hasattr(tokenizer, "src_lang"):
        yield
        return
    _token(tokenizer, source, "source_language")
    with TOKENIZING:
        before, tokenizer.src_lang = tokenizer.src_lang, source
        try:
            yield
        finally:
            tokenizer.src_lang = before


def _token(tokenizer: Any, language: str, parameter: str) -> int:
    tokens = getattr(tokenizer, "lang_code_to_token", None)  # of M2M100: en → __en__
    token = language if tokens is None else tokens.get(language)
    found = None if token is None else tokenizer.convert_tokens_to_ids(token)
    if found is None or found == tokenizer.unk_token_id:
        raise _unknown(parameter, "that the tokenizer has a token for, such as en_XX, eng_Latn or en")
    return int(found)


def _unknown(parameter: str, expected: str) -> RowError:
    return RowError("invalid_parameter", f"expected {parameter} {expected}; the model does not have the language given")
