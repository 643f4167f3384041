"""The contract of tasks on recordings, kept by a fake: what it asks for is what lies before a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from engine.options import Compute, Request
from engine.scorer import Scorer
from tests.conformance.audio import AudioConformance
from tests.hearing import FakeHearing


class TestHearing(AudioConformance):
    task = "automatic-speech-recognition"
    params: ClassVar = {"language": "de"}
    half_tolerance = 0.001

    @classmethod
    def save(cls, folder: Path) -> None:
        """It has no model."""

    @classmethod
    def scorer(cls, folder: Path, *, params: Mapping[str, Any] | None = None, **options: Any) -> Scorer:
        task = FakeHearing(half=options.pop("dtype", "") == "bfloat16")
        inputs = options.pop("inputs", tuple(cls.columns))
        request = Request(inputs={name: name for name in inputs}, params=params or {})
        tokens = options.pop("batch_tokens", 4096)
        return Scorer(task, request, batch_tokens=tokens, compute=Compute(**options))

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [row["no_speech_prob"]]
