from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import generation
from tests.conformance.samples import TEXTS
from tests.conformance.writing import WritingConformance


class TestTextGeneration(WritingConformance):
    task = "text-generation"
    columns: ClassVar = {"prompt": TEXTS}

    @classmethod
    def save(cls, folder: Path) -> None:
        generation.save(folder, "llama", generation={"eos_token_id": generation.ENDS})

    def texts(self, row: dict[str, Any]) -> list[str]:
        return [choice["text"] for choice in row["choices"]]

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [choice["logprob"] for choice in row["choices"]]


class TestCompletions(TestTextGeneration):
    task = "llm/v1/completions"
