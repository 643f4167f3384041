from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import audio_models
from tests.conformance.audio import AudioConformance


class TestAudioClassification(AudioConformance):
    task = "audio-classification"
    params: ClassVar = {"top_k": 2, "function_to_apply": "sigmoid", "max_length_s": 0.5}
    half_tolerance = 0.1
    too_short = "invalid_audio"

    @classmethod
    def save(cls, folder: Path) -> None:
        audio_models.save_encoder(folder, num_labels=3, **audio_models.LAYER_NORM)

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [one["score"] for one in sorted(row["scores"], key=lambda one: one["label"])]
