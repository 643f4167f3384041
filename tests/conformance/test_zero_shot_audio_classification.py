from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import audio_models
from tests.conformance.audio import AudioConformance


class TestZeroShotAudioClassification(AudioConformance):
    task = "zero-shot-audio-classification"
    params: ClassVar = {"hypothesis_template": "the sound of {}", "max_length_s": 0.5}
    given: ClassVar = {"candidate_labels": ["water", "a long day", "people"]}
    half_tolerance = 0.2
    too_short = "invalid_audio"

    @classmethod
    def save(cls, folder: Path) -> None:
        audio_models.save_clap(folder, seconds=4)

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [one["score"] for one in sorted(row["scores"], key=lambda one: one["label"])]
