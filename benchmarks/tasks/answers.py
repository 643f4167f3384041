"""Whether two ways gave the same answer: the same labels, words and places, and scores that are near."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

#: Scores may differ by so much: twice what bfloat16 was seen to cost (docs/performance.md), and 10,000 times float32.
NEAR: Final = 0.01


def same(one: str | None, other: str | None) -> bool:
    """Whether two answers agree; each is JSON, and None, where a row failed, agrees with nothing."""
    found = difference(one, other)
    return found is not None and found <= NEAR


def difference(one: str | None, other: str | None) -> float | None:
    """The largest difference of two answers' scores, or None where they differ in more than scores."""
    if one is None or other is None:
        return None
    (said, scores), (expected, others) = (_parts(json.loads(answer)) for answer in (one, other))
    if said != expected:
        return None
    return max((abs(a - b) for a, b in zip(scores, others, strict=True)), default=0.0)


def largest(found: Mapping[Any, str | None], expected: Mapping[Any, str | None]) -> float:
    """The largest difference of scores over the rows whose answers differ in nothing else."""
    rows = found.keys() & expected.keys()
    differences = [difference(found[row], expected[row]) for row in rows]
    return max((one for one in differences if one is not None), default=0.0)


def _parts(answer: Any) -> tuple[list[Any], list[float]]:
    """All that is no score, in a fixed order, and the scores."""
    said: list[Any] = []
    scores: list[float] = []
    _read(answer, said, scores)
    return said, scores


def _read(value: Any, said: list[Any], scores: list[float]) -> None:
    if isinstance(value, float):
        scores.append(value)
    elif isinstance(value, Mapping):
        if value and all(isinstance(one, float) for one in value.values()):  # label → score: which is the best counts
            said.append(max(value, key=value.__getitem__))
        for name in sorted(value):
            said.append(name)
            _read(value[name], said, scores)
    elif isinstance(value, list):
        said.append(len(value))
        for one in value:
            _read(one, said, scores)
    else:
        said.append(value)
