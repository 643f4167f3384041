"""Tokens → words with their times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.speech.clip import Spoken
from engine.speech.transcript import Word
from engine.speech.vocabulary import Vocabulary, names


@dataclass(frozen=True)
class Uttered:
    """A word of a segment: its tokens from ``first`` to before ``last``, seconds from the recording's start."""

    text: str
    first: int
    last: int
    start: float
    end: float
    score: float


def uttered(spoken: Spoken, tokenizer: Any, vocabulary: Vocabulary, language: str | None) -> list[Uttered]:
    """The words of a segment, punctuation with the word it belongs to, as transformers' pipeline splits them.

    Their times are those of their tokens; where none are known, of their letters, spread evenly over the segment.
    """
    from transformers.models.whisper.tokenization_whisper import _combine_tokens_into_words

    at = np.flatnonzero(spoken.ids < vocabulary.times)
    tokens = spoken.ids[at].tolist()
    words, _, indices = _combine_tokens_into_words(tokenizer, tokens, names().get(language or "en", "english"))
    ends = np.cumsum([len(word) for word in words]) if words else np.zeros(0)
    spread = (
        spoken.start + np.concatenate([[0.0], ends / max(1.0, float(ends[-1]))]) * (spoken.end - spoken.start)
        if words
        else ends
    )
    found = []
    for i, (word, own) in enumerate(zip(words, indices, strict=True)):
        first, last = int(at[own[0]]), int(at[own[-1]]) + 1
        start, end = spread[i], spread[i + 1]
        if spoken.moments is not None:
            start, end = spoken.moments[first], spoken.moments[last]
        score = float(np.exp(spoken.logprobs[first:last].astype(np.float64)).mean())
        found.append(Uttered(word, first, last, round(float(start), 2), round(float(end), 2), score))
    return found


def timed(words: list[Uttered]) -> list[Word]:
    """The words of a transcript."""
    return [Word(word.start, word.end, word.text.strip(), word.score) for word in words if word.text.strip()]
