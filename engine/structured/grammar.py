"""Formats as grammars over a model's tokens, by llguidance (docs/decisions/0021). Runs in the worker.

A grammar is compiled once per process; a text's matcher is a copy of it. After each token the library's parser says
which tokens may follow, as bits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from engine.errors import ParameterError
from engine.generation.backend import Grammar, Matcher
from engine.structured.dialect import held
from engine.structured.formats import KEPT, Format, read_format
from engine.structured.vocabulary import check_tokenizer, vocabulary_for

#: JSON is written without spaces between its parts: where they are free, models write them without end.
_WRITTEN: Final = {"whitespace_flexible": False, "lenient": False, "coerce_one_of": False}
#: What the parser says of a wrong token; whatever else it says, it gives up a text that is too complex for it.
_REFUSED: Final = "doesn't satisfy the grammar"

_LOCK: Final = threading.Lock()
_KEPT: Final[WeakKeyDictionary[Any, dict[Any, Any]]] = WeakKeyDictionary()


class TokenMatcher:
    """Where one text stands in a compiled grammar."""

    def __init__(self, parser: Any, size: int, tokens: int) -> None:
        self.parser = parser
        self._size = size
        self._tokens = tokens

    @property
    def direct(self) -> bool:
        """Whether the library's mask is the model's: its tokenizer has no tokens beyond the model's."""
        return self._tokens == self._size

    def fill(self, mask: npt.NDArray[np.int32]) -> None:
        """Sets bit ``t % 32`` of word ``t // 32`` where token ``t`` may come next, and clears the others.

        mask: int32 [⌈size / 32⌉], contiguous. Where the text may end its end tokens are allowed, and they alone where
        it must; also where the parser gives the text up as too complex, whose value is not whole then.
        """
        told = mask if self.direct else np.zeros((self._tokens + 31) // 32, np.int32)
        self.parser.unsafe_compute_mask_ptr(told.ctypes.data, told.nbytes)
        if not self.direct:
            mask[:] = told[: len(mask)]
            if self._size % 32:
                mask.view(np.uint32)[-1] &= np.uint32((1 << self._size % 32) - 1)

    def accept(self, token: int) -> None:
        """The token that was taken. Raises ValueError for one that ``fill`` does not allow."""
        if not self.parser.consume_token(token) and _REFUSED in self.parser.get_error():
            raise ValueError(f"expected a token that the grammar allows, got {token}")


class TokenGrammar:
    """A compiled grammar, shared by every text that is asked for it."""

    def __init__(self, asked: Format, parser: Any, size: int, tokens: int) -> None:
        self._asked = asked
        self._start = parser
        self._size = size
        self._tokens = tokens

    @property
    def response_format(self) -> Mapping[str, Any]:
        """What it was made from."""
        made: Mapping[str, Any] = json.loads(self._asked.key)
        return made

    def matcher(self) -> TokenMatcher:
        """At the start of a text."""
        return TokenMatcher(self._start.deep_copy(), self._size, self._tokens)


def grammar_for(
    response_format: Mapping[str, Any], tokenizer: Any, size: int, *, ends: Sequence[int] = ()
) -> Grammar | None:
    """The grammar of a response_format, None where any text will do.

    Args:
        response_format: {type: text | json_object | json_schema | regex | choice, …}.
        tokenizer: the model's.
        size: tokens that the model gives logits for, ``engine.generation.backend.vocabulary(model)``.
        ends: tokens that end a text; none takes the tokenizer's.

    Made once per process, tokenizer and format; the last 256 are kept. Raises ParameterError for what answers can't be
    held to, with the keyword.
    """
    asked = read_format(response_format)
    if asked is None:
        return None
    own = getattr(tokenizer, "eos_token_id", None)
    last = tuple(ends) or (() if own is None else (own,))
    check_tokenizer(tokenizer, last)
    with _LOCK:
        kept = _KEPT.setdefault(tokenizer, {})
        if (size, last) not in kept:
            kept[size, last] = vocabulary_for(tokenizer, size, last), {}
        vocabulary, made = kept[size, last]
        if asked.key not in made:
            made[asked.key] = TokenGrammar(asked, _compiled(asked, vocabulary), size, vocabulary.vocab_size)
            if len(made) > KEPT:
                made.pop(next(iter(made)))
        grammar: TokenGrammar = made[asked.key]
    return grammar


def fill_masks(matchers: Sequence[Matcher], masks: npt.NDArray[np.int32]) -> None:
    """Every matcher's ``fill`` into its row, those of this module in as many threads as torch has, without the GIL.

    masks: int32 [matchers, ⌈vocabulary / 32⌉], contiguous.
    """
    together = []
    for row, matcher in enumerate(matchers):
        if isinstance(matcher, TokenMatcher) and matcher.direct:
            together.append((matcher.parser, row))
        else:
            matcher.fill(masks[row])
    if together:
        _executor(_threads()).unsafe_compute_mask_ptr(
            together, masks.ctypes.data, masks.shape[1] * masks.itemsize, len(masks)
        )


@lru_cache(maxsize=KEPT)
def bytewise(asked: Format) -> Any:
    """The grammar's parser where every byte is a token."""
    return _compiled(asked, _bytes())


def _compiled(asked: Format, vocabulary: Any) -> Any:
    from llguidance import LLMatcher

    parser = LLMatcher(vocabulary, _source(asked), log_level=0)
    if parser.is_error():
        raise ParameterError(f"expected a response_format that answers can be held to: {_told(parser.get_error())}")
    return parser


def _told(error: str) -> str:
    if error.startswith("oneOf"):
        return "the branches of a oneOf may hold for one value together; write anyOf, or give them a const that differs"
    return " ".join(error.split("<state>")[0].split())[:200]


def _source(asked: Format) -> str:
    from llguidance import LLMatcher

    if asked.schema is not None:
        schema = json.dumps(held(asked.schema))
        return str(LLMatcher.grammar_from_json_schema(schema, overrides=dict(_WRITTEN)))
    return str(LLMatcher.grammar_from_regex(asked.pattern or "|".join(map(_escaped, asked.choices))))


def _escaped(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text)


def _threads() -> int:
    import torch

    return int(torch.get_num_threads())


@lru_cache(maxsize=1)
def _executor(threads: int) -> Any:
    from llguidance import LLExecutor

    return LLExecutor(threads)


@lru_cache(maxsize=1)
def _bytes() -> Any:
    from llguidance import LLTokenizer

    return LLTokenizer("byte")
