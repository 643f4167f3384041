"""Tokens of many rows, end to end: what they say in the text's own words, and which of them continue a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.batching import Index


@dataclass(frozen=True)
class Run:
    """Tokens without special ones, in the order of the rows and of their texts.

    Args:
        texts: of all rows.
        ids, row: int64 [tokens], the id and the row of each.
        places: int32 [tokens, 2], the characters of the text from and to which each stands for it; None for a
            tokenizer in Python, which does not tell.
    """

    texts: Sequence[str]
    ids: Index
    row: Index
    places: npt.NDArray[np.int32] | None

    def of(self, at: Index) -> Run:
        """The tokens at these positions."""
        return Run(self.texts, self.ids[at], self.row[at], None if self.places is None else self.places[at])

    def strings(self, tokenizer: Any) -> list[str]:
        """Each token as the vocabulary has it; an unknown one, where its place is told, as the text has it."""
        distinct, inverse = np.unique(self.ids, return_inverse=True)
        written = tokenizer.convert_ids_to_tokens(distinct.tolist())
        strings = [written[i] for i in inverse.tolist()]
        if self.places is not None:
            for at in np.flatnonzero(self._unknown(tokenizer)).tolist():
                start, end = self.places[at]
                strings[at] = self.texts[self.row[at]][start:end]
        return strings

    def continues(self, tokenizer: Any) -> npt.NDArray[np.bool_]:
        """bool [tokens], which continue the word of the one before them, told as transformers tells it.

        With a vocabulary that marks continuations (WordPiece) those are the tokens written in another length than the
        text they stand for; with any other, those that no blank parts from the character before. Unknown tokens start
        a word. Raises TypeError where no places are told.
        """
        if self.places is None:
            raise TypeError("expected tokens with their places in the text, got none")
        start, end = self.places.T
        if getattr(tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None):
            continues = self._lengths(tokenizer) != end - start
        else:
            continues = self._after_no_blank(start)
        return np.asarray(continues & ~self._unknown(tokenizer))

    def _lengths(self, tokenizer: Any) -> Index:
        distinct, inverse = np.unique(self.ids, return_inverse=True)
        written = tokenizer.convert_ids_to_tokens(distinct.tolist())
        return np.array([len(token) for token in written], np.int64)[inverse]

    def _after_no_blank(self, start: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        characters = np.frombuffer("\0".join([*self.texts, ""]).encode("utf-32-le"), np.uint32)
        lengths = np.array([len(text) + 1 for text in self.texts], np.int64)
        at = (np.cumsum(lengths) - lengths)[self.row] + start
        blank = characters == ord(" ")
        return np.asarray((start > 0) & ~blank[at - 1] & ~blank[at])

    def _unknown(self, tokenizer: Any) -> npt.NDArray[np.bool_]:
        unknown = tokenizer.unk_token_id
        return np.asarray(self.ids == (-1 if unknown is None else unknown))


def joined(tokenizer: Any, strings: Sequence[str], edges: Index) -> list[str]:
    """The strings between neighbouring edges, put together as the tokenizer puts tokens together: one a piece."""
    known: dict[tuple[str, ...], str] = {}  # most words of a table stand in it many times
    for piece in (pieces := [tuple(strings[a:b]) for a, b in pairwise(edges.tolist())]):
        if piece not in known:
            known[piece] = tokenizer.convert_tokens_to_string(list(piece))
    return [known[piece] for piece in pieces]
