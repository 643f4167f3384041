"""Models that MLflow 2 logged with tasks that are gone: adopted, every door answers as transformers 4 did."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pyarrow as pa
import pytest

import udfs.pyfunc
from tests.legacy.make import DATA, TEXTS
from tests.tutorials import doors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def text(row: dict[str, Any]) -> Any:
    return row["text"]


def answer(row: dict[str, Any]) -> Any:
    return row["answer"], row["start"], row["end"]


@pytest.mark.parametrize(
    ("name", "task", "read"),
    [
        ("t5_summarization", "summarization", text),
        ("t5_translation", "translation_en_to_fr", text),
        ("bert_question_answering", "question-answering", answer),
    ],
)
def test_an_adopted_model_answers_as_it_did(
    spark: SparkSession, home: Path, tmp_path: Path, name: str, task: str, read: Callable[[dict[str, Any]], Any]
) -> None:
    then = json.loads((DATA / name / "expected.json").read_text(encoding="utf-8"))
    old = shutil.copytree(DATA / name, home / "registered" / name)
    assert f"task: {task}\n" in (old / "MLmodel").read_text(encoding="utf-8")
    version = mlflow.register_model(old.as_uri(), name)

    adopted = udfs.pyfunc.adopt(f"models:/{name}/{version.version}")

    assert adopted == f"models:/{name}/{int(version.version) + 1}"
    rows = pa.Table.from_pylist(then["inputs"]) if "inputs" in then else pa.table({"text": list(TEXTS)})
    rows = rows.select(["question", "context"]) if "inputs" in then else rows
    said = doors.of(doors.here, spark, adopted, rows, tmp_path)
    expected = [next(iter(one.values())) if read is text else answer(one) for one in then["rows"]]
    assert {door: [read(row) for row in rows] for door, rows in said.items()} == dict.fromkeys(said, expected)
    with_stock = mlflow.models.Model.load(adopted)
    assert {"transformers", "python_function"} <= with_stock.flavors.keys()
