"""Many pairs of few texts: each text is tokenized once, and laid beside its partners when a micro-batch asks for them.

A tokenizer in Rust encodes the two texts of a pair apart and puts its special tokens around them, the same for every
pair: so ten labels cost one tokenized text, not ten. Memory is that of the texts too, not that of the pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.tasks.tokens import Tokens, tokenize


@dataclass(frozen=True)
class Pairs:
    """Sequences whose parts lie anywhere in one store of tokens, shared among them.

    Args:
        ids, types: int64 [all tokens], the store: token ids, and the segment (0 or 1) of each.
        starts, sizes: int64 [sequences, parts], where the parts of a sequence lie in the store.
        truncated: bool [sequences], whether the first text was cut.
        owner: int64 [sequences], the row each belongs to, ascending.
    """

    ids: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64]
    starts: Index
    sizes: Index
    truncated: npt.NDArray[np.bool_]
    owner: Index

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """int32 [sequences], tokens of each, special tokens counted."""
        return np.asarray(self.sizes.sum(axis=1), np.int32)

    def only(self, which: npt.NDArray[np.bool_]) -> Pairs:
        """These sequences (bool [sequences]) over the same store."""
        return Pairs(
            self.ids, self.types, self.starts[which], self.sizes[which], self.truncated[which], self.owner[which]
        )

    def laid_out(self, sequences: Index) -> Tokens:
        """These sequences with their tokens end to end."""
        starts, sizes = self.starts[sequences].ravel(), self.sizes[sequences].ravel()
        at = np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        offsets = np.concatenate([[0], np.cumsum(self.sizes[sequences].sum(axis=1))])
        return Tokens(self.ids[at], self.types[at], offsets, self.truncated[sequences], self.owner[sequences])


def pair_up(
    tokenizer: Any, texts: Sequence[str], seconds: Sequence[str], first: Index, second: Index, *, max_length: int | None
) -> Pairs:
    """Sequence i is ``texts[first[i]]`` with ``seconds[second[i]]``, and belongs to row ``first[i]``.

    The tokens are those that transformers gives the pair with ``truncation="only_first"``: of more than ``max_length``
    tokens the first text loses what is too much. A pair that would keep none of it is left as long as it is.
    """
    frame = _frame(tokenizer) if tokenizer.is_fast else None
    if frame is None:
        return _one_by_one(tokenizer, [texts[i] for i in first], [seconds[i] for i in second], first, max_length)
    left = tokenize(tokenizer, texts, max_length=None, special_tokens=False)
    right = tokenize(tokenizer, seconds, max_length=None, special_tokens=False)
    whole, added = left.lengths[first].astype(np.int64), right.lengths[second].astype(np.int64)
    kept = whole if max_length is None else np.minimum(whole, max_length - sum(frame.sizes) - added)
    kept = np.where(kept > 0, kept, whole)
    skipped = whole - kept if tokenizer.truncation_side == "left" else 0
    specials = left.ids.size + right.ids.size + np.cumsum([0, *frame.sizes[:2]])
    starts = (specials[0], left.offsets[first] + skipped, specials[1], left.ids.size + right.offsets[second])
    return Pairs(
        ids=np.concatenate([left.ids, right.ids, frame.ids]),
        types=np.concatenate([np.repeat(frame.of_texts, (left.ids.size, right.ids.size)), frame.types]),
        starts=_columns(first.size, *starts, specials[2]),
        sizes=_columns(first.size, frame.sizes[0], kept, frame.sizes[1], added, frame.sizes[2]),
        truncated=kept < whole,
        owner=first,
    )


@dataclass(frozen=True)
class Frame:
    """The special tokens before, between and after the texts of a pair.

    Args:
        ids, types: int64 [special tokens]; sizes: how many of them stand in each of the three places.
        of_texts: int64 [2], the segments of the two texts.
    """

    ids: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64]
    sizes: tuple[int, int, int]
    of_texts: npt.NDArray[np.int64]


def _frame(tokenizer: Any) -> Frame | None:
    """Read off a pair of one letter; None where it is not the two texts, one after the other, in a frame."""
    pair = tokenize(tokenizer, ["a"], ["a"], max_length=None, spans=True)
    alone = tokenize(tokenizer, ["a"], max_length=None, special_tokens=False).ids
    sides = pair.spans.side if pair.spans is not None else np.zeros(0, np.int8)
    first, second = (np.flatnonzero(sides == side) for side in (0, 1))
    if alone.size == 0 or any(not np.array_equal(pair.ids[at], alone) for at in (first, second)):
        return None
    sizes = (int(first[0]), int(second[0] - first[-1]) - 1, int(sides.size - second[-1]) - 1)
    if sizes[1] < 0 or sum(sizes) + 2 * alone.size != sides.size:
        return None
    special = sides == -1
    return Frame(pair.ids[special], pair.types[special], sizes, pair.types[[first[0], second[0]]])


def _one_by_one(
    tokenizer: Any, texts: Sequence[str], seconds: Sequence[str], owner: Index, max_length: int | None
) -> Pairs:
    whole = tokenize(tokenizer, texts, seconds, max_length=max_length, cut="only_first")
    sizes = np.diff(whole.offsets)
    return Pairs(whole.ids, whole.types, whole.offsets[:-1, None], sizes[:, None], whole.truncated, owner)


def _columns(rows: int, *values: Any) -> Index:
    return np.stack([np.broadcast_to(np.asarray(value, np.int64), rows) for value in values], axis=1)
