"""What was heard in a recording, and its struct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from engine.schema import schema_of


@dataclass(frozen=True)
class Segment:
    """A stretch of speech: seconds from the recording's start; the mean log-probability of its window's tokens."""

    start: float
    end: float
    text: str
    avg_logprob: float | None = None
    no_speech_prob: float | None = None


@dataclass(frozen=True)
class Word:
    """A word: seconds from the recording's start; the mean probability of its tokens."""

    start: float
    end: float
    word: str
    score: float


@dataclass(frozen=True)
class Transcript:
    """What was heard.

    Args:
        text: all of it.
        language: code of the language heard or given; None where none was heard, and for models that don't tell.
        duration_s: of the recording.
        segments, words: with their times; empty where they were not asked for.
        tokens: written, time stamps among them.
        no_speech_prob: that nothing is said at all: the least of the windows'; None for models that don't tell.
    """

    text: str
    duration_s: float
    language: str | None = None
    segments: Sequence[Segment] = field(default_factory=tuple)
    words: Sequence[Word] = field(default_factory=tuple)
    tokens: int = 0
    no_speech_prob: float | None = None


def structs(transcripts: Sequence[Transcript]) -> pa.StructArray:
    """The structs of transcripts, without ``error``."""
    fields = schema_of("automatic-speech-recognition").fields
    columns = {
        "text": [one.text for one in transcripts],
        "language": [one.language for one in transcripts],
        "duration_s": [one.duration_s for one in transcripts],
        "segments": [[vars(segment) for segment in one.segments] for one in transcripts],
        "words": [[vars(word) for word in one.words] for one in transcripts],
        "tokens": [one.tokens for one in transcripts],
        "no_speech_prob": [one.no_speech_prob for one in transcripts],
    }
    return pa.StructArray.from_arrays([pa.array(columns[f.name], f.type) for f in fields], fields=list(fields))
