from __future__ import annotations

import numpy as np
import pytest

from engine.speech.verdict import Verdict, compression_ratio, still, verdict
from engine.speech.vocabulary import Vocabulary
from engine.speech.written import Written
from engine.tasks.speech_recognition import SpeechRecognitionParams

VOCABULARY = Vocabulary(
    start=1, end=2, previous=3, no_timestamps=50_362, languages={}, tasks={}, size=51_864, step_s=0.02
)


def written(ids: list[int], *, avg_logprob: float = -0.2, no_speech_prob: float = 0.1, reason: str = "stop") -> Written:
    return Written(np.array(ids), np.full(len(ids), -0.2, np.float32), avg_logprob, no_speech_prob, reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "params", "expected"),
    [
        (written([5, 6, 7]), {}, "good"),
        (written([5, 6, 7], avg_logprob=-1.5), {}, "again"),
        (written([5, 6, 7], avg_logprob=-1.5), {"logprob_threshold": None}, "good"),
        (written([5, 6, 7], avg_logprob=-1.5, no_speech_prob=0.7), {}, "silent"),
        (written([5, 6, 7], avg_logprob=-1.5, no_speech_prob=0.7), {"no_speech_threshold": None}, "again"),
        (written([5, 6, 7], no_speech_prob=0.7), {}, "good"),
        (written([5, 6, 7], avg_logprob=-0.8, no_speech_prob=0.9), {}, "silent"),
        (written([5, 6, 7], avg_logprob=-0.4, no_speech_prob=0.9), {}, "good"),
        (written([5, 6, 7], avg_logprob=-0.8, no_speech_prob=0.9), {"sure_no_speech_threshold": None}, "good"),
        (written([5] * 100), {}, "again"),
        (written([5] * 100), {"compression_ratio_threshold": None}, "good"),
    ],
)
def test_thresholds(text: Written, params: dict[str, float | None], expected: Verdict) -> None:
    made = SpeechRecognitionParams(**params)  # type: ignore[arg-type]
    assert verdict(text, made, VOCABULARY, told=False) == expected


def test_behind_earlier_text_a_high_no_speech_probability_is_no_proof() -> None:
    text = written([5, 6, 7], avg_logprob=-0.8, no_speech_prob=0.9)

    assert verdict(text, SpeechRecognitionParams(), VOCABULARY, told=True) == "good"


def test_the_compression_ratio_is_that_of_transformers() -> None:
    import torch
    from transformers.models.whisper.generation_whisper import WhisperGenerationMixin

    ids = [5, 50_364, 700, 700, 700, 700]

    expected = WhisperGenerationMixin._retrieve_compression_ratio(torch.tensor([*ids, 2]), 51_864)
    assert compression_ratio(written(ids), VOCABULARY) == expected
    expected = WhisperGenerationMixin._retrieve_compression_ratio(torch.tensor(ids), 51_864)
    assert compression_ratio(written(ids, reason="length"), VOCABULARY) == expected


def test_what_is_quiet_or_steady_is_still() -> None:
    swelling, params = np.linspace(-2, -1, 100, dtype=np.float32), SpeechRecognitionParams()

    assert still(np.full(50, -8, np.float32), params)
    assert not still(np.full(50, -2, np.float32), params)
    assert still(np.full(100, -2, np.float32), params)
    assert not still(swelling, params)
    assert still(swelling / 10, params)
    listening = SpeechRecognitionParams(silence_threshold=None, steady_db=None)
    assert not still(np.full(100, -10, np.float32), listening)
