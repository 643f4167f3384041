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
        rows: compared; agree: of these, rows whose labels (and other words) are equal.
        difference: the largest between two numbers of one row, scores compared label by label.
    """

    rows: int
    agree: int
    difference: float


def compare(one: Sequence[dict[str, Any] | None], other: Sequence[dict[str, Any] | None]) -> Agreement:
    """Compares two lists of a task's structs, row by row; null and failed rows are left out."""
    both = [(a, b) for a, b in zip(one, other, strict=True) if a and b and not a["error"] and not b["error"]]
    agree = sum(dict(_words(a)) == dict(_words(b)) for a, b in both)
    return Agreement(len(both), agree, max((_difference(a, b) for a, b in both), default=0.0))


def _words(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in row.items() if isinstance(value, str))


def _difference(a: dict[str, Any], b: dict[str, Any]) -> float:
    left, right = dict(_numbers(a)), dict(_numbers(b))
    return max((float(np.abs(left[at] - right[at]).max(initial=0.0)) for at in left.keys() & right.keys()), default=0.0)


def _numbers(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """(place, float64 array) of every floating-point number and vector; elements with a label are placed by it.

    A top-level score belongs to its row's label: where labels differ, scores of different labels are not compared.
    """
    if isinstance(value, float):
        yield at, np.array(value)
    elif isinstance(value, dict):
        label = f"[{value['label']}]" if "label" in value else ""
        for name, inner in value.items():
            yield from _numbers(inner, f"{at}{label}.{name}")
    elif isinstance(value, list) and value and isinstance(value[0], float):
        yield at, np.array(value)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            place = "" if isinstance(inner, dict) and "label" in inner else f"[{i}]"
            yield from _numbers(inner, at + place)
