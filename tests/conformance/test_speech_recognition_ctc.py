from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import ctc_models
from tests.conformance.audio import AudioConformance


class TestSpeechRecognitionCtc(AudioConformance):
    task = "automatic-speech-recognition"
    given: ClassVar = {"timestamps": "words"}
    params: ClassVar = {"window_s": 0.5, "stride_s": 0.1}
    nullable = ("language", "no_speech_prob")
    half_tolerance = 0.1

    @classmethod
    def save(cls, folder: Path) -> None:
        ctc_models.save(folder)

    def numbers(self, row: dict[str, Any]) -> list[float]:
        """The mean score: a letter that changes may make two words of one."""
        scores = [word["score"] for word in row["words"]]
        return [sum(scores) / max(1, len(scores))]
