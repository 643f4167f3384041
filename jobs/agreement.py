"""Two scorings of the same rows, compared: what half precision changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """How far two scorings agree on rows that both scored.

    Args:
        rows: compared; agree: of these, rows whose labels, texts or other words are equal; None where it has none.
        difference: the largest between two numbers of one row, scores compared label by label.
        of: what agrees: labels, or texts.
    """

    rows: int
    agree: int | None
    difference: float
    of: str = "labels"

    def __str__(self) -> str:
        labels = "" if self.agree is None else f"{self.of} agree on {self.agree:,} of {self.rows:,} rows, "
        return f"{labels}largest difference {self.difference:.2g}" + (f" in {self.rows:,} rows" if not labels else "")


def compare(one: Sequence[dict[str, Any] | None], other: Sequence[dict[str, Any] | None]) -> Agreement:
    """Compares two lists of a task's structs, row by row; null and failed rows are left out."""
    both = [(a, b) for a, b in zip(one, other, strict=True) if a and b and not a["error"] and not b["error"]]
    words = [(dict(_words(a)), dict(_words(b))) for a, b in both]
    agree = sum(a == b for a, b in words) if any(a or b for a, b in words) else None
    of = "texts" if any("text" in a or "choices" in a for a, _ in both) else "labels"
    return Agreement(len(both), agree, max((_difference(a, b) for a, b in both), default=0.0), of)


def _words(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(place, string) of the row's own strings, such as its label; where it has none, of those in its lists.

    Of texts with an id and the model's name beside them, of the texts.
    """
    if "choices" in row:
        row = {"choices": row["choices"], "turns": row.get("turns")}
    own = [(name, value) for name, value in row.items() if isinstance(value, str)]
    yield from own or _strings(row)


def _strings(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, dict | list):
        for place, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _strings(inner, f"{at}.{place}")


def _difference(a: dict[str, Any], b: dict[str, Any]) -> float:
    left, right = dict(_numbers(a)), dict(_numbers(b))
    both = [(left[at], right[at]) for at in left.keys() & right.keys()]
    same = [(one, other) for one, other in both if one.shape == other.shape]  # lists of other lengths are no measure
    return max((float(np.abs(one - other).max(initial=0.0)) for one, other in same), default=0.0)


def _numbers(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """(place, float64 array) of every floating-point number and vector; those beside words are placed by them.

    A number beside a label (or a text, an answer) belongs to it: where these differ, it is not compared; the scores of
    all labels still are.
    """
    if isinstance(value, float):
        yield at, np.array(value)
    elif isinstance(value, dict):
        words = _beside(value)
        for name, inner in value.items():
            yield from _numbers(inner, f"{at}{words if isinstance(inner, float) else ''}.{name}")
    elif isinstance(value, list) and value and isinstance(value[0], float):
        yield at, np.array(value)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            placed = isinstance(inner, dict) and _beside(inner)
            yield from _numbers(inner, at if placed else f"{at}[{i}]")


def _beside(row: dict[str, Any]) -> str:
    words = [value for value in row.values() if isinstance(value, str)]
    return f"[{' '.join(words)}]" if words else ""
