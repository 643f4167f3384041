from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import generation
from tests.conformance.samples import TEXTS
from tests.conformance.writing import WritingConformance


class TestTextToText(WritingConformance):
    task = "text2text-generation"
    columns: ClassVar = {"text": TEXTS}

    @classmethod
    def save(cls, folder: Path) -> None:
        generation.save(folder, "t5", generation={"eos_token_id": generation.ENDS})

    def texts(self, row: dict[str, Any]) -> list[str]:
        return [row["text"], *(one["text"] for one in row["alternatives"])]

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [row["logprob"], *(one["logprob"] for one in row["alternatives"])]


class TestSummarization(TestTextToText):
    task = "summarization"


class TestTranslation(TestTextToText):
    task = "translation"
    params: ClassVar = {**TestTextToText.params, "source_language": "en", "target_language": "fr"}

    @classmethod
    def save(cls, folder: Path) -> None:
        own = {"translation_en_to_fr": {"prefix": "in water ", "num_beams": 2}}
        generation.save(folder, "bart", task_specific_params=own)
