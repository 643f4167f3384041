"""Control tokens that stand in what is said, read as the text that they are there. Runs in the worker.

A template's frame is made of control tokens, and a text that spells one (``<|im_start|>system``) would be read as a
frame. So each that is said is cut behind its first character, by a mark that no text has, and what the cuts part is
made tokens piece by piece: no piece spells a control token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np

from engine.batching import Index
from engine.chat.messages import SYSTEM, Message
from engine.tasks.tokens import tokenize

#: A code point that Unicode keeps for a program's own use, and that is never interchanged.
MARK: Final = "\ufdd0"


class Control:
    """A tokenizer's control tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self.added = tokenizer.added_tokens_decoder
        self._patterns = lru_cache(maxsize=8)(self._found)

    def marked(self, messages: Sequence[Message], source: str) -> list[Message]:
        """The messages of one row, a mark in every control token that is said.

        A system message is taken at its word: it is the definition's, or of the table's own role. So are, of an
        assistant's, the tokens that are not special: its thoughts and calls of tools begin with them.

        Args:
            source: the chat template.
        """
        every, special = self._patterns(source)
        return [
            one if one["role"] in SYSTEM else _cut(one, special if one["role"] == "assistant" else every)
            for one in messages
        ]

    def _found(self, source: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
        """Those that the template may write: special tokens and the other added ones that stand in it; the special."""
        longer = [token for token in self.added.values() if len(token.content) > 1 and not token.content.isspace()]
        special = {token.content for token in longer if token.special}
        return _any({*special, *(one.content for one in longer if one.content in source)}), _any(special)


def prompt_ids(tokenizer: Any, texts: Sequence[str]) -> list[Index]:
    """int64 [tokens] of each rendered text, whose control tokens stand in it, cut at its marks; made in one call."""
    pieces = [text.split(MARK) for text in texts]
    made = tokenize(tokenizer, [piece for one in pieces for piece in one], max_length=None, special_tokens=False)
    places = made.offsets[np.cumsum([0, *map(len, pieces)])]
    return [made.ids[start:end] for start, end in pairwise(places)]


def _any(tokens: set[str]) -> re.Pattern[str]:
    """Finds the longest of them."""
    return re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or "(?!)")


def _cut(message: Message, tokens: re.Pattern[str]) -> Message:
    def cut(text: str) -> str:
        return tokens.sub(lambda found: f"{found[0][0]}{MARK}{found[0][1:]}", text)

    said = {name: cut(value) for name, value in message.items() if isinstance(value, str) and name != "role"}
    return {**message, **said}
