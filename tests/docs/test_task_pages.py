"""The job on each task's page scores: its parameters, with the conformance suite's tiny model and rows."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engine.options import Column
from tests import conformance
from tests.conformance.base import TaskConformance, score, structs, table
from tests.docs.test_docs import ROOT, blocks


def suites() -> Iterator[Any]:
    """The conformance suite of every task, named by the task."""
    for path in sorted(Path(conformance.__file__).parent.glob("test_*.py")):
        for suite in vars(import_module(f"tests.conformance.{path.stem}")).values():
            if isinstance(suite, type) and issubclass(suite, TaskConformance) and hasattr(suite, "task"):
                yield pytest.param(suite, id=suite.task)


@pytest.mark.parametrize("suite", list(suites()))
def test_the_job_of_a_task_scores(suite: type[TaskConformance], tmp_path: Path) -> None:
    from jobs.definition import load

    [body] = blocks(ROOT / "docs" / "tasks" / f"{suite.task}.md", "yaml job")
    (tmp_path / "job.yaml").write_text(body, encoding="utf-8")
    job = load(tmp_path / "job.yaml")
    assert job.task == suite.task
    suite.save(tmp_path / "model")
    rows = table(suite.task, suite.columns)
    for name, value in job.params.items():
        if isinstance(value, Column):  # a null takes the default
            rows = rows.append_column(value.name, pa.array([suite.given.get(name)] * rows.num_rows))
    params = {name: value for name, value in job.params.items() if not name.endswith("_language")}  # it knows none
    if "max_new_tokens" in params:
        params["max_new_tokens"] = min(params["max_new_tokens"], 32)  # it has 66 positions
    found = structs(score(suite.scorer(tmp_path / "model", params=params), rows))
    whole = [row for row in found if row is not None]
    assert sum(row["error"] is None for row in whole) > len(whole) // 2
