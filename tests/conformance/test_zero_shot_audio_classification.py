from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests import audio_models
from tests.conformance.whole_audio import WholeAudioConformance


class TestZeroShotAudioClassification(WholeAudioConformance):
    task = "zero-shot-audio-classification"
    params: ClassVar = {"hypothesis_template": "the sound of {}", "max_length_s": 0.5}
    given: ClassVar = {"candidate_labels": ["water", "a long day", "people"]}
    half_tolerance = 0.2

    @classmethod
    def save(cls, folder: Path) -> None:
        audio_models.save_clap(folder, seconds=4)
