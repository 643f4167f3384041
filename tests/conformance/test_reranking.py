from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import tiny
from tests.conformance.base import TaskConformance
from tests.conformance.samples import PAIRS, TEXTS


class TestReranking(TaskConformance):
    task = "reranking"
    columns: ClassVar = {"query": TEXTS, "passage": PAIRS}
    params: ClassVar = {"max_length": 7, "function_to_apply": "none"}
    half_tolerance = 0.05

    @classmethod
    def save(cls, folder: Path) -> None:
        tiny.save(folder, num_labels=1)

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [row["score"]]
