"""Two clips that overlap → one text: where both say the same, the second takes over from the first."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from engine.speech.clip import Spoken
from engine.speech.vocabulary import Vocabulary
from engine.speech.words import Uttered, uttered

#: Seconds by which times may be wrong: so far outside the overlap words may still belong to it.
_SLACK_S: Final = 2.0
#: Equal words that are further apart are two.
_APART_S: Final = 4.0


class Placed(NamedTuple):
    """A word and its segment's place among the clip's."""

    segment: int
    word: Uttered
    key: str


def stitch(
    left: list[Spoken],
    right: list[Spoken],
    overlap: tuple[float, float],
    tokenizer: Any,
    vocabulary: Vocabulary,
    language: str | None,
) -> tuple[list[Spoken], list[Spoken]]:
    """What stays of each, of two clips in their order that both hear ``overlap`` (seconds from the recording's start).

    The longest run of words that both have there is the seam: up to its middle the first clip is believed, whose end
    is cut off in the middle of a word, from there the second, whose start is. Without such a run the middle of the
    overlap is the seam; where one of them says nothing there, all that the other says stays. Transformers' pipeline
    compares tokens, and at equal distances alone.
    """
    start, end = overlap
    heard = _placed(left, tokenizer, vocabulary, language)
    anew = _placed(right, tokenizer, vocabulary, language)
    tail = [i for i, one in enumerate(heard) if one.word.end > start - _SLACK_S]
    head = [i for i, one in enumerate(anew) if one.word.start < end + _SLACK_S]
    run = _common([heard[i] for i in tail], [anew[i] for i in head])
    if run is None:
        if not any(one.word.end > start for one in heard) or not any(one.word.start < end for one in anew):
            return left, right
        middle = (start + end) / 2
        kept = sum(one.word.start + one.word.end < 2 * middle for one in heard)
        dropped = sum(one.word.start + one.word.end < 2 * middle for one in anew)
    else:
        at, other, length = run
        kept, dropped = tail[0] + at + length // 2, head[0] + other + length // 2
    return _some(left, heard, slice(kept)), _some(right, anew, slice(dropped, None))


def _placed(spoken: list[Spoken], tokenizer: Any, vocabulary: Vocabulary, language: str | None) -> list[Placed]:
    return [
        Placed(i, word, re.sub(r"\W+", "", word.text).lower())
        for i, one in enumerate(spoken)
        for word in uttered(one, tokenizer, vocabulary, language)
    ]


def _common(left: list[Placed], right: list[Placed]) -> tuple[int, int, int] | None:
    """Where the longest run of equal words begins in either, and its length; of equal runs those nearest in time."""
    best: tuple[float, int, int, int] | None = None
    lengths = [0] * (len(right) + 1)
    for i, one in enumerate(left):
        row = [0] * (len(right) + 1)
        for j, other in enumerate(right):
            if one.key and one.key == other.key:
                row[j + 1] = length = lengths[j] + 1
                first, start = i - length + 1, j - length + 1
                apart = abs(left[first].word.start - right[start].word.start)
                if apart < _APART_S:
                    best = max(best or (-1.0, 0, 0, 0), (length - apart / 100, first, start, length))
        lengths = row
    return None if best is None else best[1:]


def _some(spoken: list[Spoken], words: list[Placed], kept: slice) -> list[Spoken]:
    """The segments with the words of ``kept`` alone; those that keep none are left out."""
    segments = []
    for i, one in enumerate(spoken):
        everything = [placed.word for placed in words if placed.segment == i]
        own = [placed.word for placed in words[kept] if placed.segment == i]
        if len(own) == len(everything):
            segments.append(one)
        elif own:
            begins, ends = own[0] is everything[0], own[-1] is everything[-1]
            first, last = 0 if begins else own[0].first, one.ids.size if ends else own[-1].last
            segments.append(
                one.part(first, last, one.start if begins else own[0].start, one.end if ends else own[-1].end)
            )
    return segments
