"""From logits of start and end to answers: what transformers 4 computed in its question-answering pipeline.

Softmax over the tokens of the context, the product of a start's and an end's probability, the best spans of each
window, and the probabilities of equal answers added. Runs on the CPU of the executor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.tasks.context_windows import context_of
from engine.tasks.tokens import Tokens

Floats: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.int32]
#: The logit of a token that may not answer, as transformers 4 has it.
_MASKED: Final = -10000.0
#: Numbers that are compared at once: 32 MB an array.
_AT_ONCE: Final = 1 << 22


class Answer(NamedTuple):
    """A span of the context, ``context[start:end]``, and how probable it is. All empty: no answer."""

    answer: str
    score: float
    start: int
    end: int


@dataclass(frozen=True)
class Read:
    """Windows as a model read them.

    Args:
        tokens: of the windows, with spans; a row's windows stand beside each other.
        logits: float32 [tokens, 2], of being the first and the last token of the answer.
        inside: bool [tokens], whether the token is of the context.
        none: bool [tokens], whether the token may stand for "no answer".
    """

    tokens: Tokens
    logits: npt.NDArray[np.float32]
    inside: npt.NDArray[np.bool_]
    none: npt.NDArray[np.bool_]


def answers(read: Read, contexts: Sequence[str], params: Any) -> list[list[Answer]]:
    """The answers of each row, best first; a row whose context has no token has the empty one, of score 0.

    Args:
        contexts: of the rows that have windows, in their order.
        params: ``QuestionAnsweringParams``.
    """
    starts = read.tokens.offsets[:-1]
    found = probabilities(read.logits, read.inside | read.none, starts)
    nulls = found[starts].prod(axis=1)
    found[starts] = 0.0  # a window's first token stands for no answer, and is none
    window, first, last, scores = _best(read, found, params)
    begin, end = characters(read.tokens, first, last, words=params.align_to_words)
    spans = list(zip(begin.tolist(), end.tolist(), scores.tolist(), strict=True))
    heads = np.flatnonzero(np.diff(read.tokens.owner, prepend=-1))  # each row's first window
    cuts = [*np.searchsorted(window, heads).tolist(), len(spans)]
    rows = zip(contexts, pairwise(cuts), np.minimum.reduceat(nulls, heads).tolist(), strict=True)
    return [
        _ranked(context, spans[a:b], null if params.impossible_answers else None, params.top_k)
        for context, (a, b), null in rows
    ]


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


def _best(read: Read, found: Floats, params: Any) -> tuple[Any, ...]:
    """The best spans of all windows: int64 [spans] window, first and last token, and float64 [spans] scores."""
    # Of several spans in one word one answer is left, so that more are taken than are asked for.
    count = params.top_k * 2 + 10 if params.align_to_words else params.top_k
    at, sizes = context_of(read.inside, read.tokens.offsets)
    longest = max(1, int(sizes.max(initial=0)))
    several = max(1, _AT_ONCE // (longest + count * min(longest, params.max_answer_length)))
    parts = []
    for few in range(0, at.size, several):
        begin, size = at[few : few + several], sizes[few : few + several]
        places = np.arange(longest)
        inside = places < size[:, None]
        taken = np.where(inside[:, :, None], found[np.where(inside, begin[:, None] + places, 0)], 0.0)
        window, first, last, scores = best_spans(
            taken[:, :, 0], taken[:, :, 1], size, longest=params.max_answer_length, count=count
        )
        parts.append((window + few, first + begin[window], last + begin[window], scores))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _ranked(context: str, spans: list[tuple[int, int, float]], null: float | None, top_k: int) -> list[Answer]:
    """Answers of spans (start, end, score); equal texts, whatever their case, are one, whose score is the sum."""
    scores: dict[str, float] = {}
    first: dict[str, tuple[int, int]] = {}
    for start, end, score in spans:
        text = context[start:end].lower()
        scores[text] = scores.get(text, 0.0) + score
        first.setdefault(text, (start, end))
    several = [(score, *first[text]) for text, score in scores.items()]
    if null is not None:
        several.append((null, 0, 0))
    several.sort(key=lambda one: -one[0])
    best = [Answer(context[start:end], score, start, end) for score, start, end in several[:top_k]]
    return best or [Answer("", 0.0, 0, 0)]
