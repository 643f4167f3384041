"""From labelled tokens to entities: windows stitched, tokens merged to words, words or tokens to entities.

All of it on arrays over the tokens of many rows, laid end to end. How labels are read and merged is transformers' way:
``aggregate_words`` and ``group_entities`` of its TokenClassificationPipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Index

Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """The labels of a model, by number.

    Args:
        names: string [labels], as the model's configuration has them.
        entities: string [labels], the name of an entity that starts with the label: all up to the first hyphen is cut.
        tags: int64 [labels], equal for labels that continue each other: those that differ by B- and I- alone.
        begins: bool [labels], whether a token of this label starts an entity whatever stands before it.
    """

    names: pa.Array
    entities: pa.Array
    tags: Index
    begins: Mask

    @classmethod
    def of(cls, id2label: Mapping[int, Any], count: int) -> Labels:
        """The labels 0 to ``count - 1`` of a model's configuration."""
        names = [str(id2label[i]) for i in range(count)]
        bare = [name[2:] if name.startswith(("B-", "I-")) else name for name in names]
        _, tags = np.unique(bare, return_inverse=True)
        entities = pa.array([name.split("-", 1)[-1] for name in names], pa.string())
        return cls(pa.array(names, pa.string()), entities, tags, np.array([name.startswith("B-") for name in names]))


@dataclass(frozen=True)
class Pieces:
    """Tokens, words or entities of many rows, in the order of the rows and of their texts.

    Args:
        label: int64 [pieces], the number of the label.
        score: float32 [pieces].
        row: int64 [pieces], ascending.
        edges: int64 [pieces + 1], where each starts among the smaller pieces that it is made of.
    """

    label: Index
    score: npt.NDArray[np.float32]
    row: Index
    edges: Index

    def parts(self, at: Index) -> tuple[Index, Index]:
        """The smaller pieces of those in these places, end to end, and the edges between them."""
        counts = np.diff(self.edges)[at]
        return ranges(self.edges[at], counts), np.concatenate([[0], np.cumsum(counts)])


def once(content: Mask, window: Index, owner: Index, stride: int) -> Mask:
    """bool [tokens], which tokens a row is read from: its own (no special ones), each once.

    Neighbouring windows share ``stride`` tokens. Each of these is read from the window where it lies farther from the
    edge: the first half from the earlier window, the second half from the later one.

    Args:
        content: bool [tokens], false for special tokens.
        window: int64 [tokens], ascending, the window of each.
        owner: int64 [windows], ascending, the row of each window; windows of a row in the order of its text.
        stride: tokens that two neighbouring windows share.
    """
    counts = np.bincount(window[content], minlength=owner.size)
    place = ranges(np.zeros_like(counts), counts)
    continued = np.concatenate([[False], owner[1:] == owner[:-1], [False]])
    first = np.where(continued[:-1], (stride + 1) // 2, 0)
    last = counts - np.where(continued[1:], stride // 2, 0)
    kept = content.copy()
    kept[content] = (place >= np.repeat(first, counts)) & (place < np.repeat(last, counts))
    return kept


def tokens(values: npt.NDArray[np.float32], row: Index) -> Pieces:
    """Every token a piece. ``values`` is float32 [tokens, 2]: the number of the best label and its score."""
    return Pieces(values[:, 0].astype(np.int64), values[:, 1], row, np.arange(row.size + 1))


def words(values: npt.NDArray[np.float32], row: Index, continues: Mask, how: str) -> Pieces:
    """Words, each with one label.

    Args:
        values: float32 [tokens, 2], best label and its score; for ``average`` [tokens, labels], all scores.
        row: int64 [tokens].
        continues: bool [tokens], whether a token continues the word of the one before it.
        how: first or max take label and score of the word's first or surest token, average the best mean score.
    """
    starts = np.flatnonzero(~continues | _changes(row))
    edges = np.append(starts, row.size)
    if how == "average":
        means = np.add.reduceat(values, starts, axis=0) / np.diff(edges).astype(np.float32)[:, None]
        return Pieces(means.argmax(axis=1), means.max(axis=1), row[starts], edges)
    picked = starts
    if how == "max":
        best = np.repeat(np.maximum.reduceat(values[:, 1], starts), np.diff(edges))
        surest = np.flatnonzero(values[:, 1] == best)
        picked = surest[np.searchsorted(surest, starts)]
    return Pieces(values[picked, 0].astype(np.int64), values[picked, 1], row[starts], edges)


def merged(pieces: Pieces, labels: Labels) -> Pieces:
    """Neighbours of one tag as one entity, cut where a label begins one: label of the first piece, mean score."""
    tags = labels.tags[pieces.label]
    starts = np.flatnonzero(_changes(pieces.row) | _changes(tags) | labels.begins[pieces.label])
    edges = np.append(starts, tags.size)
    means = np.add.reduceat(pieces.score, starts, dtype=np.float64) / np.diff(edges)
    return Pieces(pieces.label[starts], means.astype(np.float32), pieces.row[starts], edges)


def ranges(starts: Index, counts: Index) -> Index:
    """``counts[i]`` numbers from ``starts[i]`` on, for each i, end to end."""
    before = np.cumsum(counts) - counts
    return np.asarray(np.arange(int(counts.sum())) + np.repeat(starts - before, counts))


def _changes(values: Index) -> Mask:
    """Where a value differs from the one before it; true in the first place."""
    return np.concatenate([np.ones(min(1, values.size), bool), values[1:] != values[:-1]])
