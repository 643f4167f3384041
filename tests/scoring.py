"""Short ways for tests to score a list of values, and to say what plain transformers makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engine.models.bundle import make_bundle
from engine.models.load import load
from engine.models.registry import resolve
from engine.options import Compute, Request
from engine.schema import schema_of
from engine.scorer import Scored, Scorer
from engine.tasks import task_class


def scorer(
    folder: Path,
    *,
    task: str | None = None,
    dtype: str = "float32",
    params: Mapping[str, Any] | None = None,
    inputs: Sequence[str] = ("text",),
    batch_tokens: int = 4096,
    **compute: Any,
) -> Scorer:
    """A scorer of a local model folder on the CPU; inputs are columns named as their roles."""
    ref = resolve(str(folder), task=task)
    loaded = load(make_bundle(ref, dtype).path, "cpu")
    request = Request(inputs={name: name for name in inputs}, params=params or {})
    return Scorer(task_class(ref.task)(loaded), request, batch_tokens=batch_tokens, compute=Compute(**compute))


def rows(made: Scorer, **columns: Sequence[Any]) -> list[dict[str, Any] | None]:
    """The structs of these rows as Python values."""
    return [row for scored in windows(made, **columns) for row in scored.result.to_pylist()]


def windows(made: Scorer, batch_rows: int = 1000, **columns: Sequence[Any]) -> list[Scored]:
    """Scores columns given as lists, cut into batches of ``batch_rows``."""
    roles = {role.name: role.type for role in schema_of(made.task.name).inputs}
    table = pa.table({name: pa.array(values, roles.get(name)) for name, values in columns.items()})
    return list(made.score(table.to_batches(max_chunksize=batch_rows)))


def assert_ranked(row: dict[str, Any] | None, expected: list[dict[str, Any]]) -> None:
    """The struct's labels and scores are those of a pipeline (label and score each, best first), within 1e-5."""
    assert row is not None
    assert row["error"] is None
    scores = [one["score"] for one in row["scores"]]
    assert [one["label"] for one in row["scores"]] == [one["label"] for one in expected]
    assert scores == pytest.approx([one["score"] for one in expected], rel=1e-5, abs=1e-5)
    assert (row["label"], row["score"]) == (expected[0]["label"], scores[0])
