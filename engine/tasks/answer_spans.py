"""Spans of tokens that may answer: their probabilities, the best of them, and where they stand in the context."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.tasks.tokens import Tokens

Floats: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.int32]
#: The logit of a token that may not answer, as transformers 4 has it.
_MASKED: Final = -10000.0


def probabilities(logits: npt.NDArray[np.float32], counted: npt.NDArray[np.bool_], starts: Index) -> Floats:
    """Softmax over the counted tokens of each window.

    Args:
        logits: float32 [tokens, 2], of being the start and the end of the answer.
        counted: bool [tokens], of the context, or the token that stands for no answer.
        starts: int64 [windows], where each window starts.

    Returns float64 [tokens, 2].
    """
    masked = np.where(counted[:, None], logits.astype(np.float64), _MASKED)
    lengths = np.diff(np.append(starts, len(logits)))
    exps = np.exp(masked - np.repeat(np.maximum.reduceat(masked, starts), lengths, axis=0))
    return np.asarray(exps / np.repeat(np.add.reduceat(exps, starts), lengths, axis=0))


def best_spans(
    start: Floats, end: Floats, sizes: Index, *, longest: int, count: int
) -> tuple[Index, Index, Index, Floats]:
    """The most probable spans of each window, best first.

    The best spans begin at the starts whose own best span is best: only theirs are compared, not all pairs.

    Args:
        start, end: float64 [windows, tokens], probabilities of a context's tokens, zero behind it.
        sizes: int64 [windows], tokens of each context.
        longest: tokens of a span at most.
        count: spans of a window at most.

    Returns int64 [spans] window, first and last token, and float64 [spans] scores.
    """
    width = min(longest, start.shape[1])
    behind = np.arange(start.shape[1]) >= sizes[:, None]
    starts = _largest(np.where(behind, -1.0, start * _ahead(end, width)), count)
    ends = starts[:, :, None] + np.arange(width)
    inside = (ends < sizes[:, None, None]).reshape(len(starts), -1)
    padded = np.pad(end, ((0, 0), (0, width - 1)))
    rows = np.arange(len(starts))[:, None, None]
    scores = (start[rows, starts[:, :, None]] * padded[rows, ends]).reshape(len(starts), -1)
    scores = np.where(inside, scores, -1.0)
    best = _largest(scores, count)
    best = np.take_along_axis(
        best, np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable"), axis=1
    )
    window, place = np.nonzero(np.take_along_axis(inside, best, axis=1))
    flat = best[window, place]
    first = starts[window, flat // width]
    return window, first, first + flat % width, scores[window, flat]


def _largest(values: Floats, count: int) -> Index:
    """Where the largest values of each row are, ascending: int64 [rows, count] or fewer."""
    if values.shape[1] <= count:
        return np.broadcast_to(np.arange(values.shape[1]), values.shape)
    return np.sort(np.argpartition(-values, count - 1, axis=1)[:, :count], axis=1)


def _ahead(values: Floats, width: int) -> Floats:
    """The largest of each value and the ``width - 1`` after it; values are not negative."""
    reach = 1
    while reach < width:
        step = min(reach, width - reach)
        values = np.maximum(values, np.pad(values[:, step:], ((0, 0), (0, step))))
        reach += step
    return values


def characters(tokens: Tokens, first: Index, last: Index, *, words: bool) -> tuple[Places, Places]:
    """Where the spans from token ``first`` to token ``last`` start and end in the context, in characters.

    Args:
        words: whether a span that begins or ends within a word is stretched to the word, as far as the window has it.
    """
    spans = tokens.spans
    assert spans is not None
    begin, end = spans.start[first], spans.end[last]
    if not words or not first.size:
        return begin, end
    opens = np.ones(spans.word.size, bool)  # whether a word begins
    opens[1:] = (np.diff(spans.word) != 0) | (np.diff(spans.side) != 0)
    opens[tokens.offsets[:-1]] = True
    heads, word = np.flatnonzero(opens), np.cumsum(opens) - 1
    tails = np.append(heads[1:], opens.size) - 1
    known = (spans.word[first] >= 0) & (spans.word[last] >= 0)  # some tokenizers have tokens outside of words
    begin = np.where(known, spans.start[heads[word[first]]], begin)
    return begin, np.where(known, spans.end[tails[word[last]]], end)
