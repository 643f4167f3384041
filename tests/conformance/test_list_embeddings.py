from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import tiny
from tests.conformance.base import TaskConformance
from tests.conformance.samples import TEXTS

#: Lists of none to three texts, some of them null; two are equal, two are null.
LISTS = [None, *(TEXTS[i : i + i % 4] for i in range(len(TEXTS))), TEXTS[5:6], None, TEXTS[2:5]]


class TestListEmbeddings(TaskConformance):
    task = "list-embeddings"
    columns: ClassVar = {"texts": LISTS}
    params: ClassVar = {"max_length": 7, "pooling": "cls", "dimensions": 8, "normalize": True}
    half_tolerance = 0.1

    @classmethod
    def save(cls, folder: Path) -> None:
        tiny.save(folder, head="")

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [number for vector in row["embeddings"] if vector is not None for number in vector]


class TestLlmEmbeddings(TaskConformance):
    task = "llm/v1/embeddings"
    columns: ClassVar = {"input": TEXTS}
    params: ClassVar = {"max_length": 7, "pooling": "cls", "dimensions": 8, "normalize": True}
    half_tolerance = 0.1

    @classmethod
    def save(cls, folder: Path) -> None:
        tiny.save(folder, head="")

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [number for one in row["data"] for number in one["embedding"]]
