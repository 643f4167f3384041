from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tests import speech
from tests.conformance.base import TaskConformance
from tests.conformance.samples import TEXTS

#: Texts with a letter in them: others can't be spoken, and are errors of their rows.
SPOKEN = [text if text is None or any("a" <= letter <= "z" for letter in text) else "so" for text in TEXTS]


class TestTextToAudio(TaskConformance):
    task = "text-to-audio"
    columns: ClassVar = {"text": SPOKEN}
    params: ClassVar = {
        "max_length": 41,
        "noise_scale": 0.5,
        "noise_scale_duration": 0.2,
        "seed": 3,
        "speaking_rate": 1.5,
        "encoding": "float",
    }
    half_tolerance = 0.3

    @classmethod
    def save(cls, folder: Path) -> None:
        speech.save(folder, use_stochastic_duration_prediction=True)

    def numbers(self, row: dict[str, Any]) -> list[float]:
        samples = speech.samples(row["audio"])
        return [row["duration_s"], float(np.sqrt(np.square(samples).mean()))]
