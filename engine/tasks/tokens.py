"""Texts to token ids and back to padded tensors: what every text task shares."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Index
from engine.errors import RowError

#: A tokenizer holds its truncation and language as state, and all scorers of a process share it: two would mix them.
TOKENIZING: Final = threading.RLock()

_NO_ROOM: Final = (
    "expected a text beside which a window has room for more than stride tokens: shorten it, or the stride"
)

Cut: TypeAlias = Literal["longest_first", "only_first", "only_second"]


@dataclass(frozen=True)
class Tokens:
    """Token ids of many sequences, laid end to end.

    Args:
        ids: int64 [all tokens]; types: int64 [all tokens], the segment (0 or 1) of each.
        offsets: int64 [sequences + 1], where each sequence starts.
        truncated: bool [sequences], whether its text was longer than the model takes and was cut.
        owner: int64 [sequences], the row each belongs to, ascending: a long text that is not cut gives several windows,
            in the order of the text.
        spans: where asked for, each token's place.
        stride: how many tokens neighbouring windows of a row share.
    """

    ids: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64]
    offsets: Index
    truncated: npt.NDArray[np.bool_]
    owner: Index
    spans: Spans | None = None
    stride: int = 0

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """int32 [sequences], tokens of each, special tokens counted."""
        return np.diff(self.offsets).astype(np.int32)

    def of(self, sequence: int) -> slice:
        """Where the tokens of one sequence lie in the arrays of all tokens."""
        return slice(int(self.offsets[sequence]), int(self.offsets[sequence + 1]))


@dataclass(frozen=True)
class Spans:
    """The place of each token in its text. A special token, which has none, has side -1.

    Args:
        start, end: int32 [all tokens], characters of the text (or of the pair's second text).
        word: int32 [all tokens], the word by the tokenizer's own splitting, -1 where it has none.
        side: int8 [all tokens], 0 in the first text, 1 in the second, -1 for special tokens.
    """

    start: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    word: npt.NDArray[np.int32]
    side: npt.NDArray[np.int8]


def texts_of(column: pa.Array) -> list[str | None]:
    """The strings of a column. Raises RowError(invalid_text) where the bytes of one are not UTF-8."""
    try:
        values: list[str | None] = column.to_pylist()
    except UnicodeDecodeError:
        raise RowError("invalid_text", "expected UTF-8 text, got other bytes: decode the column first") from None
    return values


def tokenize(
    tokenizer: Any,
    texts: Sequence[str],
    pairs: Sequence[str | None] | None = None,
    *,
    max_length: int | None,
    cut: Cut = "longest_first",
    stride: int | None = None,
    spans: bool = False,
    special_tokens: bool = True,
) -> Tokens:
    """Tokens of texts, with the second text of those that have one.

    Args:
        texts, pairs: equally many; a pair may be None, which is none. An empty one is an empty segment.
        max_length: tokens of a sequence, special tokens counted; None cuts nothing.
        cut: which text is cut where both are too long together: token by token the longer one, the first or the second.
        stride: None cuts what is too long and flags it; a number makes windows of it that share so many tokens.
        spans: whether each token's place is wanted; only tokenizers in Rust know it.
        special_tokens: whether the model's special tokens are put around the texts.

    Raises RowError(invalid_parameter) where ``max_length`` is below the special tokens, which would not be cut, where
    ``stride`` leaves a window nothing new, and for windows or spans of a tokenizer in Python; RowError(too_long) where
    the text that is not cut leaves a window nothing new.
    """
    _check(tokenizer, max_length, stride, pairs is not None)
    seconds = pairs or [None] * len(texts)
    sequences = [text if pair is None else (text, pair) for text, pair in zip(texts, seconds, strict=True)]
    if not tokenizer.is_fast:
        if stride is not None or spans:
            raise RowError("invalid_parameter", "expected a fast tokenizer for windows and offsets, this is a slow one")
        return _tokenize_slow(tokenizer, sequences, max_length, cut, special_tokens)
    return _tokenize_fast(tokenizer, sequences, max_length, cut, stride, spans, special_tokens)


def first_token(tokenizer: Any, text: str) -> int | None:
    """The id of a text's first token, special tokens left out; None where the tokenizer makes none of it."""
    with TOKENIZING:
        ids = tokenizer(text, add_special_tokens=False, max_length=1, truncation=True)["input_ids"]
    return int(ids[0]) if ids else None


def _check(tokenizer: Any, max_length: int | None, stride: int | None, pair: bool) -> None:
    least = tokenizer.num_special_tokens_to_add(pair=pair)
    if max_length is None:
        return
    if max_length < least:
        raise RowError(
            "invalid_parameter", f"expected max_length of at least {least}, the special tokens; got {max_length}"
        )
    if stride is not None and stride >= max_length - least:
        raise RowError(
            "invalid_parameter", f"expected a stride below {max_length - least}, the tokens of a window; got {stride}"
        )


def _tokenize_fast(
    tokenizer: Any,
    sequences: Sequence[Any],
    max_length: int | None,
    cut: Cut,
    stride: int | None,
    spans: bool,
    special: bool,
) -> Tokens:
    # The Rust tokenizer itself: 1.8 times as many rows/s as through tokenizer(…), which builds a BatchEncoding.
    from transformers.tokenization_utils_base import PaddingStrategy, TruncationStrategy

    with TOKENIZING:
        tokenizer.set_truncation_and_padding(
            padding_strategy=PaddingStrategy.DO_NOT_PAD,
            truncation_strategy=TruncationStrategy(cut) if max_length else TruncationStrategy.DO_NOT_TRUNCATE,
            max_length=max_length,
            stride=stride or 0,
            pad_to_multiple_of=None,
            padding_side=None,
        )
        backend = tokenizer.backend_tokenizer
        encode = backend.encode_batch if spans else backend.encode_batch_fast
        try:
            found = encode(sequences, add_special_tokens=special)
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # Rust's; no Exception, so that it would end the worker's task
                raise
            raise RowError("too_long", _NO_ROOM) from None
    if stride is None:
        owner, truncated = np.arange(len(found)), [bool(e.overflowing) for e in found]
    else:
        # A tokenizer that cuts on the left gives the windows of a text from its end.
        order = -1 if tokenizer.truncation_side == "left" else 1
        windows = [[e, *e.overflowing][::order] for e in found]
        owner = np.repeat(np.arange(len(found)), [len(one) for one in windows])
        found = list(chain.from_iterable(windows))
        truncated = [False] * len(found)
    ids, types, places = [e.ids for e in found], [e.type_ids for e in found], _spans(found) if spans else None
    return _laid_out(ids, types, truncated, owner, places, stride or 0)


def _spans(found: Sequence[Any]) -> Spans:
    pairs = chain.from_iterable(e.offsets for e in found)
    places = np.fromiter(chain.from_iterable(pairs), np.int32).reshape(-1, 2)
    words = [-1 if word is None else word for e in found for word in e.word_ids]
    sides = [-1 if side is None else side for e in found for side in e.sequence_ids]
    return Spans(places[:, 0], places[:, 1], np.array(words, np.int32), np.array(sides, np.int8))


def _tokenize_slow(tokenizer: Any, sequences: Sequence[Any], max_length: int | None, cut: Cut, special: bool) -> Tokens:
    options = {"return_token_type_ids": True, "add_special_tokens": special}
    whole = [tokenizer(*_pair(s), **options, truncation=False) for s in sequences]
    truncated = [max_length is not None and len(one["input_ids"]) > max_length for one in whole]
    fitting = [
        tokenizer(*_pair(s), **options, truncation=cut, max_length=max_length) if long else one
        for s, one, long in zip(sequences, whole, truncated, strict=True)
    ]
    ids, types = [c["input_ids"] for c in fitting], [c["token_type_ids"] for c in fitting]
    return _laid_out(ids, types, truncated, np.arange(len(ids)))


def _laid_out(
    ids: Sequence[Any],
    types: Sequence[Any],
    truncated: Sequence[bool],
    owner: Index,
    spans: Spans | None = None,
    stride: int = 0,
) -> Tokens:
    offsets = np.zeros(len(ids) + 1, np.int64)
    np.cumsum(np.array([len(one) for one in ids], np.int64), out=offsets[1:])
    flat = np.fromiter(chain.from_iterable(ids), np.int64, count=int(offsets[-1]))
    flat_types = np.fromiter(chain.from_iterable(types), np.int64, count=int(offsets[-1]))
    return Tokens(flat, flat_types, offsets, np.array(truncated, bool), owner.astype(np.int64), spans, stride)


def _pair(sequence: str | tuple[str, str]) -> tuple[str, ...]:
    return sequence if isinstance(sequence, tuple) else (sequence,)


def collate(tokens: Tokens, items: Index, tokenizer: Any, device: str) -> dict[str, Any]:
    """The model's input tensors for these sequences: int64 [items, longest], padded on the right, on the device."""
    import torch

    starts, lengths = tokens.offsets[items], tokens.lengths[items]
    inside = np.arange(lengths.max(initial=0)) < lengths[:, None]
    at = np.where(inside, starts[:, None] + np.arange(inside.shape[1]), 0)
    arrays = {
        "input_ids": np.where(inside, tokens.ids[at], tokenizer.pad_token_id),
        "attention_mask": inside.astype(np.int64),
    }
    if "token_type_ids" in tokenizer.model_input_names:
        arrays["token_type_ids"] = np.where(inside, tokens.types[at], 0)
    return {name: torch.from_numpy(array).to(device, non_blocking=True) for name, array in arrays.items()}
