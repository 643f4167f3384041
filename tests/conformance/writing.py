"""What the tasks that write text add to the contract: half precision may write another text."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tests.conformance.base import TaskConformance, score, structs


class WritingConformance(TaskConformance):
    """The contract of a task that writes.

    In half precision the best and the second token may change places, and all that follows is another text: most
    texts agree, and of those the log-probabilities are near.
    """

    given: ClassVar = {"max_new_tokens": 6}
    params: ClassVar = {
        "max_length": 7,
        "temperature": 1.7,
        "seed": 11,
        "n": 2,
        "stop": ["e", "er"],
        "prompt_template": "to {prompt}",
    }
    half_tolerance = 0.3

    @abstractmethod
    def texts(self, row: dict[str, Any]) -> list[str]:
        """The texts of a struct."""

    def test_bfloat16_stays_near_float32(self, folder: Path, expected: list[Any]) -> None:
        found = structs(score(self.scorer(folder, dtype="bfloat16"), self.table))
        rows = [(a, b) for a, b in zip(found, expected, strict=True) if b and b["error"] is None]
        agree = [(a, b) for a, b in rows if self.texts(a) == self.texts(b)]
        assert len(agree) > len(rows) / 2
        halves, wholes = (np.concatenate(side) for side in zip(*self._numbers(agree), strict=True))
        assert 0 < np.abs(halves - wholes).max() <= self.half_tolerance

    def _numbers(self, pairs: list[tuple[Any, Any]]) -> list[tuple[list[float], list[float]]]:
        return [(self.numbers(a), self.numbers(b)) for a, b in pairs]
