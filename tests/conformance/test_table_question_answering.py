from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, ClassVar

from tests import tiny
from tests.conformance.base import TaskConformance
from tests.conformance.test_question_answering import QUESTIONS


def table(seed: int) -> str:
    """JSON of 1 to 6 rows and 1 to 4 columns; the tiny model takes 128 tokens, so that some are cut."""
    draw = random.Random(seed)
    columns = [f"{draw.choice(tiny.WORDS)} {i}" for i in range(draw.randrange(1, 5))]
    cells = [*tiny.WORDS, 1, 2.5, "1984", None]
    return json.dumps([{name: draw.choice(cells) for name in columns} for _ in range(draw.randrange(1, 7))])


class TestTableQuestionAnswering(TaskConformance):
    task = "table-question-answering"
    columns: ClassVar = {
        "question": QUESTIONS,
        "table": [None if i == 2 else table(QUESTIONS.index(text)) for i, text in enumerate(QUESTIONS)],
    }
    params: ClassVar = {"max_length": 40}
    half_tolerance = 0.05

    @classmethod
    def save(cls, folder: Path) -> None:
        tiny.save_tapas(
            folder, seed=3
        )  # in none of its rows two columns are near a tie, which half precision could turn

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [max((cell["score"] for cell in row["cells"]), default=0.5)]
