"""Every task of the schema table keeps the contract."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, ClassVar, Final

from engine.schema import SCHEMAS
from tests import tiny
from tests.conformance.base import TaskConformance


def texts(seed: int) -> list[str | None]:
    """Texts of 0 to 80 words (the tiny models take 64 tokens) in two scripts, some null, some equal."""
    draw = random.Random(seed)
    made: list[str | None] = [" ".join(draw.choices(tiny.WORDS, k=draw.randrange(80))) for _ in range(12)]
    return [None, *made, made[3], "", None, "שלום 😀", made[5]]


TEXTS: Final = texts(1)
#: Two rows keep an equal pair, so that the pairs have duplicates too.
PAIRS: Final = [TEXTS[4] if text == TEXTS[4] else pair for text, pair in zip(TEXTS, texts(2), strict=True)]


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


def test_every_task_keeps_the_contract() -> None:
    assert {one.task for one in TaskConformance.__subclasses__()} == SCHEMAS.keys()
