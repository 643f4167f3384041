from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import tiny
from tests.conformance.base import TaskConformance
from tests.conformance.samples import TEXTS


class TestEmbeddings(TaskConformance):
    task = "embeddings"
    columns: ClassVar = {"text": TEXTS}
    params: ClassVar = {"max_length": 7, "pooling": "cls", "dimensions": 8, "normalize": True}
    half_tolerance = 0.1

    @classmethod
    def save(cls, folder: Path) -> None:
        tiny.save(folder, head="")

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return list(row["embedding"])
