from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import tiny
from tests.conformance.base import TaskConformance
from tests.conformance.samples import TEXTS


class TestFeatureExtraction(TaskConformance):
    task = "feature-extraction"
    columns: ClassVar = {"text": TEXTS}
    params: ClassVar = {"max_length": 7}
    half_tolerance = 0.2

    @classmethod
    def save(cls, folder: Path) -> None:
        tiny.save(folder, head="")

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [number for vector in row["features"] for number in vector]
