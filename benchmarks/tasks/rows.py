"""What is scored for each task: its parameters, and rows made of ``benchmarks.text.texts``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import mean
from typing import Any, Final

from benchmarks.pipelines import inputs_of
from benchmarks.text.texts import rows_at, texts, tokens_of


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The rows of a task.

    Args:
        words: what they are, for people.
        tokens: mean tokens of each input.
        row_tokens: tokens that a row sends through the model, about.
        params: the task's, as the engine names them.
    """

    words: str
    tokens: tuple[int, ...]
    row_tokens: int
    params: Mapping[str, Any] = field(default_factory=dict)

    def count(self, asked: int) -> int:
        """How many rows stand for so many asked for: fewer where they are long, as ``rows_at`` has it."""
        return rows_at(asked, self.row_tokens)

    def rows(self, count: int, *, seed: int = 0) -> list[Any]:
        """Distinct texts, or lists of as many as the task has inputs."""
        columns = [texts(count, tokens, seed=seed) for tokens in self.tokens]
        return columns[0] if len(columns) == 1 else [list(row) for row in zip(*columns, strict=True)]


def mean_tokens(task: str, rows: list[Any]) -> dict[str, float]:
    """Mean tokens of each input, [CLS] and [SEP] counted: those of a text that stands alone."""
    columns = [rows] if isinstance(rows[0], str) else list(zip(*rows, strict=True))
    return {name: mean(map(tokens_of, column)) for name, column in zip(inputs_of(task), columns, strict=True)}


_LABELS: Final = ["music", "food", "school", "money"]

KINDS: Final[Mapping[str, Kind]] = {
    "token-classification": Kind(
        words="texts of mean 27 tokens, one token in ten in an entity",
        tokens=(27,),
        row_tokens=27,
        params={"aggregation": "simple"},
    ),
    "zero-shot-classification": Kind(
        words="texts of mean 27 tokens, 4 candidate labels",
        tokens=(27,),
        row_tokens=len(_LABELS) * (27 + 6),  # "This example is music." and one more [SEP]
        params={"candidate_labels": _LABELS},
    ),
    "reranking": Kind(
        words="queries of mean 10 tokens, passages of 60",
        tokens=(10, 60),
        row_tokens=10 + 60 - 1,
    ),
}
