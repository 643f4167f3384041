"""From logits of start and end to answers: what transformers 4 computed in its question-answering pipeline.

Softmax over the tokens of the context, the product of a start's and an end's probability, the best spans of each
window, and the probabilities of equal answers added. Runs on the CPU of the executor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.tasks.answer_spans import Floats, best_spans, characters, probabilities
from engine.tasks.context_windows import context_of
from engine.tasks.tokens import Tokens

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
