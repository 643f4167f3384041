"""What is known of a recording while its clips are heard, and what is told of it at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from engine.errors import RowError
from engine.speech.clip import Clip, Spoken
from engine.speech.stitch import stitch
from engine.speech.transcript import Segment, Transcript
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
        """What was heard in all clips."""
        if self.failed is not None:
            return self.failed
        clips = sorted(self.clips, key=lambda clip: clip.index)
        told = self._stitched(clips, tokenizer, vocabulary)
        spoken = [one for clip in told for one in clip]
        return Transcript(
            text=_joined([_text(clip, tokenizer, vocabulary) for clip in told], spaced=self.language not in UNSPACED),
            duration_s=duration_s,
            language=self.language,
            segments=[
                Segment(
                    start=one.start,
                    end=one.end,
                    text=text,
                    avg_logprob=one.avg_logprob,
                    no_speech_prob=one.no_speech_prob,
                )
                for one in spoken
                if params.timestamps != "none" and (text := _text([one], tokenizer, vocabulary).strip())
            ],
            words=[
                word
                for one in spoken
                if params.timestamps == "words"
                for word in timed(uttered(one, tokenizer, vocabulary, self.language))
            ],
            tokens=sum(clip.tokens for clip in clips),
            no_speech_prob=min((clip.no_speech_prob for clip in clips), default=None),
        )

    def _stitched(self, clips: list[Clip], tokenizer: Any, vocabulary: Vocabulary) -> list[list[Spoken]]:
        told = [clip.spoken for clip in clips]
        for i, clip in enumerate(clips[1:]):
            if clip.shared:
                overlap = (clip.start, clip.start + clip.shared)
                told[i], told[i + 1] = stitch(told[i], told[i + 1], overlap, tokenizer, vocabulary, self.language)
        return told


def _text(spoken: list[Spoken], tokenizer: Any, vocabulary: Vocabulary) -> str:
    ids = [token for one in spoken for token in vocabulary.text(one.ids.tolist())]
    return str(tokenizer.decode(ids, skip_special_tokens=True))


def _joined(texts: list[str], *, spaced: bool) -> str:
    whole = ""
    for text in texts:
        apart = " " if spaced and whole and text and not (whole[-1].isspace() or text[0].isspace()) else ""
        whole += apart + text
    return whole.strip()
