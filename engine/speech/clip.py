"""A clip: a stretch of one recording that is heard from its start to its end, 30 s at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.speech.seeking import Cut, before, cuts
from engine.speech.sound import Sound
from engine.speech.vocabulary import Vocabulary
from engine.speech.written import Written


@dataclass(frozen=True)
class Spoken:
    """What one segment says; times are seconds from the recording's start.

    Args:
        ids: int64 [tokens], times among them.
        logprobs: float32 [tokens].
        moments: float64 [tokens + 1], when each token starts, and when the last one ends; None where not asked for.
        avg_logprob, no_speech_prob: of the whole text that was written with it.
    """

    start: float
    end: float
    ids: Index
    logprobs: npt.NDArray[np.float32]
    moments: npt.NDArray[np.float64] | None
    avg_logprob: float
    no_speech_prob: float

    def part(self, first: int, last: int, start: float, end: float) -> Spoken:
        """The tokens from ``first`` to before ``last`` alone."""
        moments = None if self.moments is None else self.moments[first : last + 1]
        return replace(
            self,
            start=start,
            end=end,
            ids=self.ids[first:last],
            logprobs=self.logprobs[first:last],
            moments=moments,
        )


@dataclass(frozen=True)
class Heard:
    """What was made of the 30 s where a clip stood.

    Args:
        written: the text; None where it is too quiet to be heard at all.
        silent: whether nothing is said, whatever was written.
        temperature: at which it was written.
        language: code of the language that was detected in it, or was known.
        moments: float64 [tokens + 1], seconds within the segment, where asked for.
    """

    written: Written | None
    silent: bool
    temperature: float = 0.0
    language: str | None = None
    moments: npt.NDArray[np.float64] | None = None

    @property
    def no_speech_prob(self) -> float:
        """That nothing is said: 1 where nothing is to be heard."""
        return 1.0 if self.written is None else self.written.no_speech_prob


@dataclass
class Clip:
    """A stretch of one recording and how far it is heard.

    Args:
        item: which recording.
        index: which of its clips.
        start: seconds from the recording's start.
        shared: seconds at its start that the clip before hears as well.
        sound: its features.
        timed: whether its texts hold times.
        told: tokens that are taken for said before it.
        conditioned: whether the next text is told the ones before it.
        seek: frame to listen at next.
        texts: tokens of its segments so far.
        spoken: its segments so far, but those that say nothing.
        tokens: written so far.
        no_speech_prob: the least so far.
    """

    item: int
    index: int
    start: float
    shared: float
    sound: Sound
    timed: bool
    told: Sequence[int] = ()
    conditioned: bool = False
    seek: int = 0
    texts: list[Sequence[int]] = field(default_factory=list)
    spoken: list[Spoken] = field(default_factory=list)
    tokens: int = 0
    no_speech_prob: float = 1.0

    @property
    def ended(self) -> bool:
        """Whether all of it is heard."""
        return self.seek >= self.sound.frames

    @property
    def frames(self) -> int:
        """Of the segment where it stands, without silence behind the end."""
        return min(self.sound.window, self.sound.frames - self.seek)

    def close(self) -> None:
        """Keeps what it says alone: what is only needed to hear it may be many times as large."""
        self.sound.close()
        self.texts.clear()

    def prompt(self, head: Sequence[int], vocabulary: Vocabulary, positions: int) -> list[int]:
        """What the next text follows: the texts before where it is conditioned on them, else the words given, if any.

        Args:
            head: what every text begins with.
            positions: tokens that the decoder takes; what was said before takes less than half.
        """
        most = positions // 2 - 1
        texts = [self.told, *self.texts] if self.told else self.texts
        if self.conditioned and texts:
            return [vocabulary.previous, *before(texts, vocabulary.times, most), *head]
        return [vocabulary.previous, *self.told[-most:], *head] if self.told else list(head)

    def advance(self, heard: Heard, vocabulary: Vocabulary, frame_s: float, *, condition: bool) -> None:
        """Takes in what was heard and moves on behind it."""
        self.no_speech_prob = min(self.no_speech_prob, heard.no_speech_prob)
        if heard.written is not None:
            self.tokens += heard.written.ids.size
            # A text drawn at a high temperature is likely to be wrong: the next one is not told of it.
            self.conditioned = condition and heard.temperature < 0.5
        if heard.silent or heard.written is None:
            self.seek += self.frames
            return
        ids = heard.written.ids.tolist()
        found, taken = cuts(ids, vocabulary.times, self.frames, round(vocabulary.step_s / frame_s))
        offset, limit = self.start + self.seek * frame_s, self.start + self.sound.frames * frame_s
        for one in found:
            self.texts.append(ids[one.first : one.last])
            if vocabulary.text(self.texts[-1]):
                start, end = (min(offset + at * vocabulary.step_s, limit) for at in (one.start, one.end))
                self.spoken.append(_spoken(heard, one, start, end, offset))
        self.seek += taken


def _spoken(heard: Heard, cut: Cut, start: float, end: float, offset: float) -> Spoken:
    written, moments = heard.written, heard.moments
    assert written is not None
    return Spoken(
        start=round(start, 2),
        end=round(end, 2),
        ids=written.ids[cut.first : cut.last],
        logprobs=written.logprobs[cut.first : cut.last],
        moments=None if moments is None else offset + moments[cut.first : cut.last + 1],
        avg_logprob=written.avg_logprob,
        no_speech_prob=written.no_speech_prob,
    )
