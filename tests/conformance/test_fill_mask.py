from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import tiny
from tests.conformance.base import TaskConformance
from tests.conformance.samples import TEXTS

#: One to three masks a text, of which ``params`` cuts some off.
MASKED = [
    None if text is None else f"{'the ' * (i % 5)}[MASK]{' a [MASK]' * (i % 3)} {text}" for i, text in enumerate(TEXTS)
]
#: Equal texts stay equal.
COLUMN = [MASKED[TEXTS.index(text)] for text in TEXTS]


class TestFillMask(TaskConformance):
    task = "fill-mask"
    columns: ClassVar = {"text": COLUMN}
    params: ClassVar = {"max_length": 7, "top_k": 2, "targets": ["the", "day", "water"]}
    half_tolerance = 0.1

    @classmethod
    def save(cls, folder: Path) -> None:
        tiny.save(folder, head="MaskedLM")

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [score for mask in row["masks"] for score in sorted(one["score"] for one in mask)]
