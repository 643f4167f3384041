"""Texts to token ids and back to padded tensors: what every text task shares."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Index
from engine.errors import RowError

#: A tokenizer holds its truncation as state, and all scorers of a process share it: two at once would mix their limits.
_TOKENIZING: Final = threading.Lock()


@dataclass(frozen=True)
class Tokens:
    """Token ids of many sequences, laid end to end.

    Args:
        ids: int64 [all tokens]; types: int64 [all tokens], the segment (0 or 1) of each.
        offsets: int64 [sequences + 1], where each sequence starts.
        truncated: bool [sequences], whether its text was longer than the model takes.
    """

    ids: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64]
    offsets: Index
    truncated: npt.NDArray[np.bool_]

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """int32 [sequences], tokens of each, special tokens counted."""
        return np.diff(self.offsets).astype(np.int32)


def texts_of(column: pa.Array) -> list[str | None]:
    """The strings of a column. Raises RowError(invalid_text) where the bytes of one are not UTF-8."""
    try:
        values: list[str | None] = column.to_pylist()
    except UnicodeDecodeError:
        raise RowError("invalid_text", "expected UTF-8 text, got other bytes: decode the column first") from None
    return values


def tokenize(tokenizer: Any, inputs: Mapping[str, pa.Array], max_length: int | None) -> Tokens:
    """Tokens of ``text`` (with ``text_pair`` where a row has one), cut to ``max_length`` on the tokenizer's side.

    An empty pair is no pair, as for transformers called row by row (its own batches would add an empty segment).
    Raises RowError(invalid_parameter) where ``max_length`` is below the special tokens: they would not be cut.
    """
    least = tokenizer.num_special_tokens_to_add(pair="text_pair" in inputs)
    if max_length is not None and max_length < least:
        raise RowError(
            "invalid_parameter", f"expected max_length of at least {least}, the special tokens; got {max_length}"
        )
    texts = texts_of(inputs["text"])
    pairs = texts_of(inputs["text_pair"]) if "text_pair" in inputs else [None] * len(texts)
    sequences = [(text, pair) if pair else text for text, pair in zip(texts, pairs, strict=True)]
    if tokenizer.is_fast:
        ids, types, truncated = _tokenize_fast(tokenizer, sequences, max_length)
    else:
        ids, types, truncated = _tokenize_slow(tokenizer, sequences, max_length)
    offsets = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(one) for one in ids], out=offsets[1:])
    flat = np.fromiter(chain.from_iterable(ids), np.int64, count=int(offsets[-1]))
    flat_types = np.fromiter(chain.from_iterable(types), np.int64, count=int(offsets[-1]))
    return Tokens(flat, flat_types, offsets, np.array(truncated, bool))


def _tokenize_fast(tokenizer: Any, sequences: Sequence[Any], max_length: int | None) -> tuple[Any, Any, list[bool]]:
    # The Rust tokenizer itself: 1.8 times as many rows/s as through tokenizer(…), which builds a BatchEncoding.
    from transformers.tokenization_utils_base import PaddingStrategy, TruncationStrategy

    with _TOKENIZING:
        tokenizer.set_truncation_and_padding(
            padding_strategy=PaddingStrategy.DO_NOT_PAD,
            truncation_strategy=TruncationStrategy.LONGEST_FIRST if max_length else TruncationStrategy.DO_NOT_TRUNCATE,
            max_length=max_length,
            stride=0,
            pad_to_multiple_of=None,
            padding_side=None,
        )
        found = tokenizer.backend_tokenizer.encode_batch_fast(sequences)
    return [e.ids for e in found], [e.type_ids for e in found], [bool(e.overflowing) for e in found]


def _tokenize_slow(tokenizer: Any, sequences: Sequence[Any], max_length: int | None) -> tuple[Any, Any, list[bool]]:
    whole = [tokenizer(*_pair(s), return_token_type_ids=True, truncation=False) for s in sequences]
    truncated = [max_length is not None and len(one["input_ids"]) > max_length for one in whole]
    cut = [
        tokenizer(*_pair(s), return_token_type_ids=True, truncation=True, max_length=max_length) if long else one
        for s, one, long in zip(sequences, whole, truncated, strict=True)
    ]
    return [c["input_ids"] for c in cut], [c["token_type_ids"] for c in cut], truncated


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


def longest_input(model: Any, tokenizer: Any, shipped: int | None, asked: int | None) -> int | None:
    """Tokens a sequence may have: the least of what tokenizer, position table, shipped configuration and job allow.

    None where nothing limits it (relative positions).
    """
    limits = [asked, shipped, tokenizer.model_max_length if tokenizer.model_max_length < 1_000_000 else None]
    limits.append(_positions(model))
    return min((limit for limit in limits if limit), default=None)


def _positions(model: Any) -> int | None:
    # RoBERTa's kin number positions from padding_idx + 1, so that many rows of the table are never used for tokens.
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == "position_embeddings" and hasattr(module, "num_embeddings"):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - unused
    limit = getattr(model.config, "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 0 else None
