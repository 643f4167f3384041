"""The contract of automatic-speech-recognition, with a tiny Whisper of several languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import speech_models
from tests.conformance.audio import AudioConformance


class TestSpeechRecognition(AudioConformance):
    task = "automatic-speech-recognition"
    params: ClassVar = {"language": "de"}
    given: ClassVar = {"temperatures": [0.0], "max_new_tokens": 6}
    nullable = ("language",)  # of a silent recording
    half_tolerance = 0.02

    @classmethod
    def save(cls, folder: Path) -> None:
        speech_models.save(folder)

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [row["no_speech_prob"]]


class TestInSequence(TestSpeechRecognition):
    given: ClassVar = {**TestSpeechRecognition.given, "long_form": "sequential", "timestamps": "words"}
