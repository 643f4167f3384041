from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests import audio_models
from tests.conformance.whole_audio import WholeAudioConformance


class TestAudioClassification(WholeAudioConformance):
    task = "audio-classification"
    params: ClassVar = {"top_k": 2, "function_to_apply": "sigmoid", "max_length_s": 0.5}
    half_tolerance = 0.1
    short = ("one sample", "no sample")

    @classmethod
    def save(cls, folder: Path) -> None:
        audio_models.save_encoder(folder, num_labels=3, **audio_models.LAYER_NORM)
