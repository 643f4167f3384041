from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.errors import RowError
from engine.speech.clip import Clip, Spoken
from engine.speech.recorded import Recorded
from engine.speech.sound import Sound
from engine.speech.transcript import Transcript
from engine.tasks.speech_recognition import SpeechRecognitionParams
from tests import speech_models
from tests.unit.speech.spoken import said, vocabulary


class Nothing(Sound):
    def __init__(self) -> None:
        super().__init__(np.zeros(1, np.float32), 1)

    def _cut(self, at: int) -> Any:
        raise AssertionError


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return speech_models.tokenizer()


def clip(index: int, start: float, spoken: list[Spoken], *, shared: float = 0.0, silence: float = 0.5) -> Clip:
    return Clip(-1, index, start, shared, Nothing(), True, spoken=spoken, tokens=4, no_speech_prob=silence)


def told(
    tokenizer: Any, clips: list[Clip], language: str = "en", *, duration_s: float = 60.0, **params: Any
) -> Transcript:
    recorded = Recorded(language, clips=clips)
    found = recorded.transcript(duration_s, SpeechRecognitionParams(**params), tokenizer, vocabulary(tokenizer))
    assert isinstance(found, Transcript)
    return found


def test_clips_are_told_in_their_order(tokenizer: Any) -> None:
    first, second = said(tokenizer, " the water", 0.0, 4.0), said(tokenizer, "has long", 30.0, 60.0)

    found = told(tokenizer, [clip(1, 30.0, [second], silence=0.2), clip(0, 0.0, [first])], timestamps="words")

    assert found.text == "the water has long"
    assert [(one.start, one.end, one.text) for one in found.segments] == [
        (0.0, 4.0, "the water"),
        (30.0, 60.0, "has long"),
    ]
    assert [one.word for one in found.words] == ["the", "water", "has", "long"]
    assert (found.language, found.duration_s, found.tokens, found.no_speech_prob) == ("en", 60.0, 8, 0.2)


@pytest.mark.parametrize(("timestamps", "segments"), [("none", 0), ("segments", 1)])
def test_what_was_not_asked_for_is_left_out(tokenizer: Any, timestamps: str, segments: int) -> None:
    found = told(tokenizer, [clip(0, 0.0, [said(tokenizer, " the water", 0.0, 4.0)])], timestamps=timestamps)

    assert (len(found.segments), len(found.words), found.text) == (segments, 0, "the water")


def test_clips_that_overlap_are_stitched(tokenizer: Any) -> None:
    first = clip(0, 0.0, [said(tokenizer, " look at the long wa", 20.0, 30.0)])
    second = clip(1, 25.0, [said(tokenizer, "t the long water", 25.0, 33.0)], shared=5.0)

    assert told(tokenizer, [first, second]).text == "look at the long water"


def test_languages_without_spaces_are_joined_without(tokenizer: Any) -> None:
    clips = [clip(0, 0.0, [said(tokenizer, "水", 0.0, 4.0)]), clip(1, 30.0, [said(tokenizer, "下", 30.0, 34.0)])]

    assert told(tokenizer, clips, "zh").text == "水下"
    assert told(tokenizer, clips, "de").text == "水 下"


def test_nothing_is_told_of_a_recording_without_samples(tokenizer: Any) -> None:
    found = told(tokenizer, [])

    assert (found.text, found.segments, found.words, found.no_speech_prob) == ("", [], [], None)


def test_a_failure_is_told_instead(tokenizer: Any) -> None:
    broken = RowError("invalid_audio", "half way")

    found = Recorded("en", failed=broken).transcript(1.0, SpeechRecognitionParams(), tokenizer, vocabulary(tokenizer))

    assert found is broken


def test_times_lie_within_the_recording_and_rise(tokenizer: Any) -> None:
    """Where two clips were stitched, each has timed the words at the seam a little differently."""
    first = clip(0, 0.0, [said(tokenizer, " look at the long", 20.0, 30.0, moments=True)])
    second = clip(1, 25.0, [said(tokenizer, " the long water", 24.5, 30.5, moments=True)], shared=5.0)

    found = told(tokenizer, [first, second], timestamps="words", duration_s=30.2)

    assert found.text == "look at the long water"
    for times in ([(one.start, one.end) for one in found.segments], [(one.start, one.end) for one in found.words]):
        flat = [at for pair in times for at in pair]
        assert flat == sorted(flat)
        assert flat[-1] == 30.2


def test_a_translation_is_english_text(tokenizer: Any) -> None:
    clips = [
        clip(0, 0.0, [said(tokenizer, "look at water", 0.0, 4.0)]),
        clip(1, 30.0, [said(tokenizer, "wax", 30.0, 34.0)]),
    ]

    found = told(tokenizer, clips, "ja", timestamps="words", speech_task="translate")

    assert (found.text, found.language) == ("look at water wax", "ja")
    assert [one.word for one in found.words] == ["look", "at", "water", "wax"]
    assert [one.word for one in told(tokenizer, clips, "ja", timestamps="words").words][-1] != "wax"
