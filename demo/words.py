"""How many words of a transcript are wrong."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np


def word_error(reference: str, hypothesis: str) -> float:
    """Words put in, left out or replaced, by the words of the reference: 0 where all are right.

    Case, punctuation, fillers and ways of writing a number don't count (Whisper's English normalizer).
    Raises ValueError for a reference without a word.
    """
    return corpus_error([(reference, hypothesis)])


def corpus_error(pairs: Iterable[tuple[str, str]]) -> float:
    """The same over many (reference, hypothesis): all wrong words by all words."""
    both = [(words(reference), words(hypothesis)) for reference, hypothesis in pairs]
    total = sum(len(reference) for reference, _ in both)
    if not total:
        raise ValueError("expected a reference with at least one word")
    return sum(edits(reference, hypothesis) for reference, hypothesis in both) / total


def words(text: str) -> list[str]:
    """A text's words in lower case, without what does not count."""
    return str(_normalizer()(text)).split()


def edits(reference: list[str], hypothesis: list[str]) -> int:
    """The least number of words to put in, leave out or replace (Levenshtein's distance)."""
    ids = {word: i for i, word in enumerate({*reference, *hypothesis})}
    heard = np.array([ids[word] for word in hypothesis], np.int64)
    places = np.arange(len(hypothesis) + 1)
    row = places
    for i, word in enumerate(reference, 1):
        best = np.minimum(row[:-1] + (heard != ids[word]), row[1:] + 1)
        # An insertion costs one more than the place before it: a running minimum, with what places cost taken out.
        row = np.minimum.accumulate(np.concatenate([[i], best]) - places) + places
    return int(row[-1])


@cache
def _normalizer() -> Any:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    return EnglishTextNormalizer({})  # no list of spellings: colour and color are two words
