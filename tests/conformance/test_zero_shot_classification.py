from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests import tiny
from tests.conformance.base import TaskConformance
from tests.conformance.samples import TEXTS

NLI = {0: "contradiction", 1: "neutral", 2: "entailment"}


class TestZeroShotClassification(TaskConformance):
    task = "zero-shot-classification"
    columns: ClassVar = {"text": TEXTS}
    params: ClassVar = {"max_length": 24, "multi_label": True, "hypothesis_template": "it is {}"}
    given: ClassVar = {"candidate_labels": ["water", "a long day", "people"]}
    half_tolerance = 0.1

    @classmethod
    def save(cls, folder: Path) -> None:
        tiny.save(folder, id2label=NLI, label2id={label: i for i, label in NLI.items()})

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [one["score"] for one in sorted(row["scores"], key=lambda one: one["label"])]
