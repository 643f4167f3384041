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
from numpy.lib.stride_tricks import sliding_window_view

from engine.batching import Index
from engine.tasks.context_windows import context_of
from engine.tasks.tokens import Tokens

Floats: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.int32]
#: The logit of a token that may not answer, as transformers 4 has it.
_MASKED: Final = -10000.0


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


def best_spans(start: Floats, end: Floats, *, longest: int, count: int) -> tuple[Index, Index, Floats]:
    """The most probable spans among the tokens of a context, best first: their first tokens, last tokens and scores.

    Args:
        start, end: float64 [tokens].
        longest: tokens of a span at most.
        count: how many spans at most.
    """
    tokens = start.size
    width = min(longest, tokens)
    if not width:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    scores = start[:, None] * sliding_window_view(np.pad(end, (0, width - 1)), width)
    scores[np.arange(tokens)[:, None] + np.arange(width) >= tokens] = -1.0  # the span would end behind the context
    flat = scores.ravel()
    count = min(count, tokens * width - width * (width - 1) // 2)
    best = np.argpartition(-flat, count - 1)[:count]
    best = best[np.lexsort((best, -flat[best]))]
    first, more = np.divmod(best, width)
    return first, first + more, flat[best]


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
    parts = []
    for window, (at, size) in enumerate(np.stack(context_of(read.inside, read.tokens.offsets), axis=1).tolist()):
        start, end = found[at : at + size].T
        first, last, scores = best_spans(start, end, longest=params.max_answer_length, count=count)
        parts.append((np.full(first.size, window), first + at, last + at, scores))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _ranked(context: str, spans: list[tuple[int, int, float]], null: float | None, top_k: int) -> list[Answer]:
    """Answers of spans (start, end, score); equal texts, whatever their case, are one, whose score is the sum."""
    found: dict[str, Answer] = {}
    for start, end, score in spans:
        text = context[start:end]
        seen = found.setdefault(text.lower(), Answer(text, 0.0, start, end))
        found[text.lower()] = seen._replace(score=seen.score + score)
    several = [*found.values(), *([] if null is None else [Answer("", null, 0, 0)])]
    return sorted(several, key=lambda one: -one.score)[:top_k] or [Answer("", 0.0, 0, 0)]
