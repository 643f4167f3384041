from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

from tests import tiny
from tests.conformance.base import TaskConformance
from tests.conformance.samples import PAIRS, TEXTS

#: None empty, and all leave room for a context.
QUESTIONS: Final = [text if text is None else " ".join(text.split()[:9]) or "what" for text in TEXTS]


class TestQuestionAnswering(TaskConformance):
    task = "question-answering"
    columns: ClassVar = {"question": QUESTIONS, "context": PAIRS}
    params: ClassVar = {"max_length": 30, "doc_stride": 3, "top_k": 3, "impossible_answers": True}
    half_tolerance = 0.1

    @classmethod
    def save(cls, folder: Path) -> None:
        tiny.save(folder, head="QuestionAnswering")

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [row["score"]]
