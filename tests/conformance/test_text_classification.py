from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import tiny
from tests.conformance.base import TaskConformance
from tests.conformance.samples import PAIRS, TEXTS


class TestTextClassification(TaskConformance):
    task = "text-classification"
    columns: ClassVar = {"text": TEXTS, "text_pair": PAIRS}
    params: ClassVar = {"max_length": 7, "top_k": 2, "function_to_apply": "sigmoid"}
    half_tolerance = 0.05

    @classmethod
    def save(cls, folder: Path) -> None:
        tiny.save(folder, num_labels=4)

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [one["score"] for one in sorted(row["scores"], key=lambda one: one["label"])]
