"""What is known of a recording while its clips are heard, and what is told of it at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from engine.errors import RowError
from engine.speech.clip import Clip, Spoken
from engine.speech.stitch import stitch
from engine.speech.transcript import Segment, Transcript, Word
from engine.speech.vocabulary import Vocabulary
from engine.speech.words import timed, uttered
from engine.tasks.speech_recognition import SpeechRecognitionParams

#: Languages that are written without spaces between words.
UNSPACED: Final = frozenset(("zh", "yue", "ja", "th", "lo", "my"))


@dataclass
class Recorded:
    """A recording that is being heard.

    Args:
        language: code of what is spoken; None while it is to be detected.
        waiting: clips that can't be heard before the language is known.
        clips: that were heard to their end; their sounds are given back.
        failed: why there is no transcript.
    """

    language: str | None
    waiting: list[Clip] = field(default_factory=list)
    clips: list[Clip] = field(default_factory=list)
    failed: RowError | None = None

    def transcript(
        self, duration_s: float, params: SpeechRecognitionParams, tokenizer: Any, vocabulary: Vocabulary
    ) -> Transcript | RowError:
        """What was heard in all clips, stitched; no time lies behind the recording's last frame.

        No segment begins before the one before it ends; words of one clip are timed as transformers times them.
        """
        if self.failed is not None:
            return self.failed
        clips = sorted(self.clips, key=lambda clip: clip.index)
        written = (
            "en" if params.speech_task == "translate" else self.language
        )  # of the text: what is heard is another's
        told = _stitched(clips, tokenizer, vocabulary, written)
        latest = math.ceil(round(duration_s * 100, 6)) / 100  # times are in hundredths, a frame of the features each
        segments, words = params.timestamps != "none", params.timestamps == "words"
        return Transcript(
            text=_joined([_text(clip, tokenizer, vocabulary) for clip in told], spaced=written not in UNSPACED),
            duration_s=duration_s,
            language=self.language,
            segments=list(_segments(told, latest, tokenizer, vocabulary)) if segments else [],
            words=list(_words(told, latest, tokenizer, vocabulary, written)) if words else [],
            tokens=sum(clip.tokens for clip in clips),
            no_speech_prob=min((clip.no_speech_prob for clip in clips), default=None),
        )


def _stitched(clips: list[Clip], tokenizer: Any, vocabulary: Vocabulary, language: str | None) -> list[list[Spoken]]:
    told = [clip.spoken for clip in clips]
    for i, clip in enumerate(clips[1:]):
        if clip.shared:
            overlap = (clip.start, clip.start + clip.shared)
            told[i], told[i + 1] = stitch(told[i], told[i + 1], overlap, tokenizer, vocabulary, language)
    return told


def _segments(told: list[list[Spoken]], latest: float, tokenizer: Any, vocabulary: Vocabulary) -> Iterator[Segment]:
    since = 0.0
    for one in (spoken for clip in told for spoken in clip):
        text = _text([one], tokenizer, vocabulary).strip()
        if text:
            start = min(max(one.start, since), latest)
            since = min(max(one.end, start), latest)
            yield Segment(
                start=start, end=since, text=text, avg_logprob=one.avg_logprob, no_speech_prob=one.no_speech_prob
            )


def _words(
    told: list[list[Spoken]], latest: float, tokenizer: Any, vocabulary: Vocabulary, language: str | None
) -> Iterator[Word]:
    """The words, whose times in two clips that were stitched may differ a little."""
    since = 0.0
    for clip in told:
        last = since
        for one in clip:
            for word in timed(uttered(one, tokenizer, vocabulary, language)):
                start = min(max(word.start, since), latest)
                last = min(max(word.end, start), latest)
                yield Word(start, last, word.word, word.score)
        since = last


def _text(spoken: list[Spoken], tokenizer: Any, vocabulary: Vocabulary) -> str:
    ids = [token for one in spoken for token in vocabulary.text(one.ids.tolist())]
    return str(tokenizer.decode(ids, skip_special_tokens=True))


def _joined(texts: list[str], *, spaced: bool) -> str:
    whole = ""
    for text in texts:
        apart = " " if spaced and whole and text and not (whole[-1].isspace() or text[0].isspace()) else ""
        whole += apart + text
    return whole.strip()
