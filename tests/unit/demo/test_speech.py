from __future__ import annotations

import numpy as np
import pytest

from demo.speech import say

pytestmark = pytest.mark.weights

TEXT = "The red van is late again."


def test_speech_is_a_wave_of_the_texts_length() -> None:
    samples, rate = say(TEXT)
    assert (samples.dtype, samples.ndim, rate) == (np.float32, 1, 22_050)
    assert 1.0 < samples.size / rate < 4.0
    assert 0.1 < np.abs(samples).max() <= 1.0


def test_equal_texts_sound_equal_whatever_was_said_between() -> None:
    first, _ = say(TEXT)
    say("Something else.", rate_wpm=300, voice="de")
    second, _ = say(TEXT)
    assert np.array_equal(first, second)


def test_rate_and_voice_are_heard() -> None:
    slow, fast = say(TEXT, rate_wpm=100)[0], say(TEXT, rate_wpm=200)[0]
    assert 1.5 < slow.size / fast.size < 2.5
    british = say(TEXT, voice="en")[0]
    assert british.size != say(TEXT)[0].size


def test_a_voice_or_rate_that_there_is_not_says_what_was_expected() -> None:
    with pytest.raises(ValueError, match="expected a voice that espeak-ng has, as en-us or en, got klingon-x"):
        say(TEXT, voice="klingon-x")
    with pytest.raises(ValueError, match="expected a rate of 80 to 450 words a minute, got 20"):
        say(TEXT, rate_wpm=20)


def test_nothing_sounds_like_nothing() -> None:
    assert np.abs(say("")[0]).max(initial=0.0) == 0.0
