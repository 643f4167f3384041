"""The golden table: whichever door the rows of a task go through, each gets the same answer, leaf by leaf."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

import udfs.pyfunc
from tests.conformance.base import assert_same
from tests.golden.cases import CASES, ROWS
from tests.golden.conftest import Goldens
from tests.golden.doors import DOORS, MLFLOW
from tests.golden.forced import forced

pytestmark = pytest.mark.spark

#: Rows in bfloat16, for which the machines that run tests may have no instructions, and the doors that they go through:
#: a job has its dtype from the same place as udfs.score, a udf as udfs.register.
FEW: Final = 12
HALF: Final = [door for door in DOORS if door not in ("job", "udfs.udf")]

#: What names a row's labels, of the tasks that give some.
LABELS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "text-classification": lambda row: row["label"],
    "token-classification": lambda row: [(one["entity"], one["start"], one["end"]) for one in row["entities"]],
}


@pytest.mark.parametrize("task", CASES)
def test_the_rows_hold_what_the_table_is_about(golden: Goldens, task: str) -> None:
    found, case = golden(task).expected, golden(task).case
    codes = [row["error"] and row["error"]["code"] for row in found if row is not None]
    assert len(found) == ROWS
    assert found.count(None) >= 5
    assert set(codes) == {None, *case.codes}
    assert len({repr(row) for row in found}) < ROWS


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("task", CASES)
def test_every_door_gives_the_same_answers(golden: Goldens, task: str, door: str) -> None:
    model = golden(task)
    expected = [forced(row, model.output) if door in MLFLOW else row for row in model.expected]
    assert_same(DOORS[door](model.rows), expected)


@pytest.mark.parametrize("task", LABELS)
def test_labels_are_the_same_in_bfloat16(golden: Goldens, task: str, tmp_path: Path) -> None:
    model, artifact, label = golden(task), tmp_path / "half", LABELS[task]
    half = {"definition": {"dtype": "bfloat16"}, "model_config": dict(model.case.params)}
    udfs.pyfunc.save_model(str(model.folder), str(artifact), task=task, **half)
    table = model.rows.table.slice(0, FEW)
    few = replace(model.rows, uri=str(artifact), dtype="bfloat16", table=table, folder=tmp_path)
    answered = [at for at, row in enumerate(model.expected[:FEW]) if row is not None and row["error"] is None]
    expected = [label(model.expected[at]) for at in answered]
    for door in HALF:
        found = DOORS[door](few)
        assert [label(found[at]) for at in answered] == expected, door
