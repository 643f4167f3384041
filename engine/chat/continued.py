"""A longer prompt that begins with the very tokens that are there, so that their keys and values serve it.

A text that is made tokens anew may be cut otherwise than the model wrote it; what the model has read and written is
therefore kept as it is, and only what the template puts behind it is made tokens. Runs in the worker.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.batching import Index
from engine.chat.control import prompt_ids

#: Tokens in front of the written ones with which they are decoded: some tokenizers write no space at a text's start.
_BEFORE: Final = 4


def continued(tokenizer: Any, *, before: str, prompt: Index, written: Index, text: str) -> Index | None:
    """The tokens of ``text`` that begin with those of a prompt and as many of the written ones as stand in it.

    Where the written text ends with an end token that the template writes too, all of them do; where it was cut before
    a stop string, or the template puts another end, those up to there.

    Args:
        tokenizer: of transformers.
        before: the text whose tokens ``prompt`` are.
        prompt, written: int64 [tokens].
        text: of the whole new prompt.

    Returns None where ``text`` does not begin with ``before``, as where a template leaves out what was thought in
    earlier turns, or where the tokens would not say what ``text`` says.
    """
    if not text.startswith(before):
        return None
    rest = text[len(before) :]
    kept, said = _kept(tokenizer, prompt, written, rest)
    ids = np.concatenate([prompt, written[:kept], plain(tokenizer, rest[said:])])
    return ids if _decoded(tokenizer, ids) == _decoded(tokenizer, plain(tokenizer, text)) else None


def plain(tokenizer: Any, text: str) -> Index:
    """int64 [tokens] of a rendered text, whose special tokens stand in it."""
    return prompt_ids(tokenizer, [text])[0]


def _kept(tokenizer: Any, prompt: Index, written: Index, rest: str) -> tuple[int, int]:
    """How many of the written tokens ``rest`` begins with, and how many of its characters they are.

    A token more is hardly ever a character less: the last token that may fit is found by halving, the last that does by
    stepping back over tokens that are no whole characters.
    """
    shown = _decoded(tokenizer, prompt[-_BEFORE:])

    def of(tokens: int) -> str | None:
        together = _decoded(tokenizer, np.concatenate([prompt[-_BEFORE:], written[:tokens]]))
        return together[len(shown) :] if together.startswith(shown) else None

    low, high = 0, len(written)
    whole = of(high)
    if whole is not None and rest.startswith(whole):
        return high, len(whole)
    most = _alike(whole or "", rest)
    while low < high:
        middle = (low + high + 1) // 2
        if len(of(middle) or "") <= most:
            low = middle
        else:
            high = middle - 1
    for tokens in range(low, max(0, low - _BEFORE), -1):
        found = of(tokens)
        if found is not None and rest.startswith(found):
            return tokens, len(found)
    return 0, 0


def _alike(one: str, other: str) -> int:
    """Characters that both begin with."""
    differ = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differ, min(len(one), len(other)))


def _decoded(tokenizer: Any, ids: Index) -> str:
    text: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text
