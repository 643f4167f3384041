from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tests import tagging
from tests.conformance.base import TaskConformance
from tests.conformance.samples import TEXTS


class TestTokenClassification(TaskConformance):
    """Every token by itself: as many numbers whatever the dtype."""

    task = "token-classification"
    columns: ClassVar = {"text": TEXTS}
    given: ClassVar = {"aggregation": "none", "ignore_labels": []}
    params: ClassVar = {"max_length": 7, "long_text": "chunk", "stride": 2}
    half_tolerance = 0.05

    @classmethod
    def save(cls, folder: Path) -> None:
        tagging.save(folder)

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [one["score"] for one in row["entities"]]


class TestTokenClassificationInWindows(TestTokenClassification):
    """Entities of long texts, read in windows that share tokens."""

    given: ClassVar = {"aggregation": "average", "long_text": "chunk", "max_length": 20}
    params: ClassVar = {"stride": 11, "ignore_labels": ["O", "PER"]}

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [float(np.mean([one["score"] for one in row["entities"]]))] if row["entities"] else []
