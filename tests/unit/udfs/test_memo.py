"""What a query has answered: found again by any worker of it, by whole batches and by rows, within bounds."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from udfs import memo
from udfs.memo import Memo

TYPE = pa.struct([("length", pa.int32()), ("list", pa.list_(pa.field("element", pa.string())))])


class Model:
    """Answers with the length of each text, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str | None]] = []

    def __call__(self, batch: pa.RecordBatch) -> pa.StructArray:
        texts = batch.column("text").to_pylist()
        self.asked.append(texts)
        return pa.array([text and {"length": len(text), "list": [text, None]} for text in texts], TYPE)


def ask(kept: Memo, model: Model, texts: Sequence[str | None]) -> None:
    """The answers are right, whoever gave them."""
    found = kept.answers(pa.record_batch({"text": pa.array(texts, pa.string())}), model)
    assert found.type == TYPE
    assert found.to_pylist() == [text and {"length": len(text), "list": [text, None]} for text in texts]


def of(folder: Path, *, query: str = "1", task: str = "7", function: str = "f") -> Memo:
    return Memo(folder=folder / "embercast", function=function, query=query, task=task)


def test_a_batch_is_answered_once_in_a_query(tmp_path: Path) -> None:
    model = Model()
    for task in ("7", "7", "8"):
        ask(of(tmp_path, task=task), model, ["a", None, "bb", "a"])
    assert model.asked == [["a", None, "bb", "a"]]
    ask(of(tmp_path, query="2"), model, ["a", None, "bb", "a"])
    ask(of(tmp_path, function="g"), model, ["a", None, "bb", "a"])
    assert len(model.asked) == 3


def test_rows_of_a_task_are_answered_once_whatever_batch_they_come_in(tmp_path: Path) -> None:
    model = Model()
    for texts in (["a", "bb", None], ["ccc", "dddd"], ["dddd", None, "a"], ["bb", "new", "ccc", "a"]):
        ask(of(tmp_path), model, texts)
    assert model.asked == [["a", "bb", None], ["ccc", "dddd"], ["new"]]
    ask(of(tmp_path, task="8"), model, ["a", "bb"])  # of another task's batch: not looked for
    assert model.asked[3:] == [["a", "bb"]]


def test_what_another_task_answered_is_lent_to_the_workers_of_this_one(tmp_path: Path) -> None:
    model = Model()
    ask(of(tmp_path), model, ["a", "bb", "ccc"])
    ask(of(tmp_path, task="8"), model, ["a", "bb", "ccc"])
    ask(of(tmp_path, task="8"), model, ["ccc", "a"])
    assert len(model.asked) == 1


def test_the_oldest_answers_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "_FILES", 3)
    model = Model()
    for text in "abcde":
        ask(of(tmp_path), model, [text])
    assert len(os.listdir(tmp_path / "embercast")) == 3
    ask(of(tmp_path), model, ["e"])
    assert len(model.asked) == 5
    ask(of(tmp_path), model, ["a"])
    assert model.asked[5:] == [["a"]]
    monkeypatch.setattr(memo, "_BYTES", 1)
    ask(of(tmp_path), model, ["too large to be kept"])
    assert not any("too large" in str(path) for path in (tmp_path / "embercast").iterdir())


def test_a_full_disk_costs_time_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "embercast").write_text("in the way of the folder")
    model = Model()
    ask(of(tmp_path), model, ["a"])
    ask(of(tmp_path), model, ["a"])
    assert model.asked == [["a"], ["a"]]
    assert "answers are not kept for other evaluations of this query" in caplog.text


def test_a_task_says_its_query_and_where_its_workers_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = SimpleNamespace(taskAttemptId=lambda: 5, getLocalProperty={"spark.sql.execution.id": "3"}.get)
    spark = SimpleNamespace(TaskContext=SimpleNamespace(get=lambda: context))
    monkeypatch.setitem(sys.modules, "pyspark", spark)
    monkeypatch.delenv("SPARK_LOCAL_DIRS", raising=False)
    assert Memo.of_task("f") is None
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{tmp_path}/a,{tmp_path}/b")
    assert Memo.of_task("f") == Memo(folder=tmp_path / "a" / "embercast", function="f", query="3", task="5")
    context.getLocalProperty = lambda name: None
    assert getattr(Memo.of_task("f"), "query", None) == "t5"
    spark.TaskContext.get = lambda: None
    assert Memo.of_task("f") is None


def test_a_disk_that_fills_while_answers_are_written_keeps_nothing_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    ask(of(tmp_path), Model(), ["a"])
    assert list((tmp_path / "embercast").iterdir()) == []


def test_a_disk_without_hard_links_costs_no_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    model = Model()
    for task in ("7", "8"):
        ask(of(tmp_path, task=task), model, ["a"])
    assert model.asked == [["a"]]
    assert "answers are not lent to other evaluations of this query" in caplog.text
