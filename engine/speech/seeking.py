"""Where a text's segments begin and end, and where to listen next: Whisper's long-form decoding.

After Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision (arXiv 2212.04356), section 3.8, in the
form that transformers gives it (``WhisperGenerationMixin._retrieve_segment``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Cut(NamedTuple):
    """A segment: tokens from ``first`` to before ``last``; its times in steps from the segment's start."""

    first: int
    last: int
    start: int
    end: int


def cuts(ids: Sequence[int], times: int, frames: int, stride: int) -> tuple[list[Cut], int]:
    """The segments of a text and how many frames they took.

    Two times in a row end one segment and begin the next. What follows the last such pair is unfinished and heard
    again, unless a single time ends the text: then nothing is said behind it.

    Args:
        ids: the text, without its end.
        times: the token of time 0.
        frames: that were heard, without silence behind the recording.
        stride: frames of one step of time.
    """
    timed = [token >= times for token in ids]
    ends = [i + 1 for i in range(len(ids) - 1) if timed[i] and timed[i + 1]]
    if not ends:
        return [Cut(0, len(ids), 0, _last_time(ids, times, frames // stride))], frames
    single = timed[-2:] == [False, True]
    if single:
        ends.append(len(ids))
    else:
        ends[-1] += 1  # the pair's second time tells that the text went on
    found, first = [], 0
    for last in ends:
        closing = ids[last - 1] if single or last != ends[-1] else ids[last - 2]
        found.append(Cut(first, last, max(0, ids[first] - times), closing - times))
        first = last
    return found, frames if single else (found[-1].end * stride or frames)


def _last_time(ids: Sequence[int], times: int, otherwise: int) -> int:
    last = max((i for i, token in enumerate(ids) if token >= times), default=None)
    return otherwise if last is None or ids[last] == times else ids[last] - times


def before(segments: Sequence[Sequence[int]], times: int, most: int) -> list[int]:
    """What the next segment is told of those before it: their last ``most`` tokens, one of each pair of times."""
    told: list[int] = []
    for ids in segments:
        doubled = len(ids) > 2 and ids[-2] >= times
        told += ids[:-1] if doubled else ids
    return told[-most:]
