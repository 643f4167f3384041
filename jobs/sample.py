"""A few rows of the source scored and shown; nothing is written. Runs on the driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs import causes, trial
from jobs.resolved import resolve

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from rich.table import Table

    from jobs.definition import JobDefinition


@dataclass(frozen=True)
class Sample:
    """Rows with their keys: ``keys`` and ``results`` have one entry a row."""

    keys: list[dict[str, Any]]
    results: list[dict[str, Any] | None]

    def __rich__(self) -> Table:
        from rich.table import Column, Table
        from rich.text import Text

        columns = list(self.keys[0]) if self.keys else []
        fields = [name for name in next(filter(None, self.results), {}) if name != "error"]
        shown = Table(*(Column(Text(name)) for name in (*columns, *fields, "error")))  # Text: brackets are no markup
        for key, result in zip(self.keys, self.results, strict=True):
            row = result or {}
            error = row.get("error")
            values = ["" if row.get(name) is None else brief(row[name]) for name in fields]
            shown.add_row(*map(Text, [*map(str, key.values()), *values, error["code"] if error else ""]))
        return shown


def sample(definition: JobDefinition, *, spark: SparkSession, rows: int = 20) -> Sample:
    """Scores the first rows of the source whose input is not null, on one executor. Raises as ``plan`` does."""
    with causes.told(definition):
        found = trial.score_first(spark, resolve(spark, definition), rows)
    keys = found.select(definition.source.row_key).to_pylist()
    return Sample(keys, found.column(trial.RESULT).to_pylist())


def brief(value: Any) -> str:
    """A value in a few characters: the first of a list's elements, and how many there are; of bytes how many alone."""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, dict):
        return " ".join(brief(inner) for inner in value.values())
    if isinstance(value, list):
        first = ", ".join(brief(inner) for inner in value[:3])
        return first + (f", … ({len(value)})" if len(value) > 3 else "")
    return str(value)
