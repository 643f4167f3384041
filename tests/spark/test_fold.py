"""Tables of turns: folded into conversations, each answered once under its last turn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import SchemaError
from jobs.commits import Commits
from jobs.keys import look
from jobs.plan import plan
from jobs.runner import run
from jobs.sample import sample
from jobs.sections import Fold, Source
from jobs.tables import count, read_source
from tests.spark.job import define

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition

pytestmark = pytest.mark.spark

DDL = "chat STRING, turn INT, role STRING, content STRING, product STRING"
Turn = tuple[str | None, int | None, str | None, str | None, str]


def add(spark: SparkSession, folder: Path, *turns: Turn) -> None:
    """Appends turns to the source: one file, one version."""
    rows = spark.createDataFrame(turns, DDL).coalesce(1)
    rows.write.format("delta").mode("append").save(f"{folder}/source")


def job(folder: Path, model: Path, **sections: Any) -> JobDefinition:
    """Labels what was said last in each conversation, and keeps the conversation."""
    source = {"key": ["chat"], "fold": {}, "inputs": {"text": "content"}, **sections.pop("source", {})}
    return define(
        folder, model, source=source, sink={"keep": ["product", "messages"]}, errors={"max_fraction": 1.0}, **sections
    )


def answers(spark: SparkSession, folder: Path) -> list[tuple[Any, ...]]:
    """(chat, turn, product, [(role, content), …]) of every row of the sink, doubles shown."""
    rows = spark.read.format("delta").load(f"{folder}/sink").orderBy("chat", "turn").collect()
    return [(row["chat"], row["turn"], row["product"], [tuple(one) for one in row["messages"]]) for row in rows]


FIRST = ("a", 1, "user", "come", "p1")
OTHER = ("b", 1, "user", "what now", "p1")
ANSWERED = ("a", 2, "assistant", "now", "p2")
AGAIN = ("a", 3, "user", "go down", "p3")


def said(*turns: Turn) -> list[Any]:
    return [turn[2:4] for turn in turns]


def test_a_conversation_is_answered_once_under_each_last_turn(
    spark: SparkSession, sentiment: Path, tmp_path: Path
) -> None:
    definition = job(tmp_path, sentiment, compute={"max_files_per_commit": 1})
    add(spark, tmp_path, AGAIN, OTHER)  # a conversation's turns lie in any order, over files and commits
    add(spark, tmp_path, ANSWERED)
    add(spark, tmp_path, FIRST, ("c", 7, "user", "hello", "p1"), ("c", 8, "assistant", "there", "p1"))
    made = plan(definition, spark=spark)
    assert (made.rows, made.scored, made.planned.rows, made.warnings) == (2, 0, 2, ())  # c has its answer
    assert made.tried == 2
    shown = sample(definition, spark=spark).keys
    assert sorted(shown, key=str) == [{"chat": "a", "turn": 3}, {"chat": "b", "turn": 1}]

    done = run(definition, spark=spark)
    whole = said(FIRST, ANSWERED, AGAIN)
    assert answers(spark, tmp_path) == [("a", 3, "p3", whole), ("b", 1, "p1", said(OTHER))]
    assert (done.rows, done.commits) == (2, 1)  # the commits behind the first had nothing left to answer
    assert run(definition, spark=spark).rows == 0

    later = ("b", 2, "user", "how", "p1"), ("b", 4, "user", "so", "p4")
    add(spark, tmp_path, ("a", 2, "assistant", "now", "p2"), *later, ("a", 4, "assistant", "up", "p1"))
    assert count(spark, definition).new == 1
    assert run(definition, spark=spark).rows == 1
    assert answers(spark, tmp_path)[1:] == [("b", 1, "p1", said(OTHER)), ("b", 4, "p4", said(OTHER, *later))]


def test_a_commit_that_was_not_noted_is_not_answered_again(
    spark: SparkSession, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = job(tmp_path, sentiment, compute={"max_files_per_commit": 1})
    for at in range(3):
        add(spark, tmp_path, *((f"c{chat}", at, "user", f"text {at}", "p") for chat in range(at, 4)))

    def die(*_: Any) -> None:
        raise RuntimeError("after the write")

    with monkeypatch.context() as patch:
        patch.setattr("jobs.progress.Progress.committed", die)
        with pytest.raises(RuntimeError, match="after the write"):
            run(definition, spark=spark)
    expected = [("c0", 0), ("c1", 1), ("c2", 2), ("c3", 2)]
    assert [row[:2] for row in answers(spark, tmp_path)] == expected

    add(spark, tmp_path, ("c0", 5, "user", "five", "p"))
    with monkeypatch.context() as patch:  # what was written is passed over, and the next commit dies
        patch.setattr(Commits, "_append", die)
        with pytest.raises(RuntimeError, match="after the write"):
            run(definition, spark=spark)
    add(spark, tmp_path, ("c0", 6, "user", "six", "p"))  # meanwhile it grew: answered as it is now
    assert run(definition, spark=spark).rows == 1
    assert [row[:2] for row in answers(spark, tmp_path)] == [expected[0], ("c0", 6), *expected[1:]]


def test_turns_with_one_number_doubles_and_nulls(spark: SparkSession, tmp_path: Path) -> None:
    turns: tuple[Turn, ...] = (
        ("a", 2, "user", "z", "p"),
        ("a", 1, "assistant", "b", "p"),
        ("a", 1, "user", "c", "p"),
        ("a", 1, "user", "c", "p"),
        ("a", None, "system", "s", "p"),
        ("b", 1, "tool", "t", "p"),
        ("b", 1, None, "n", "q"),
        (None, 1, "user", "nobody's", "p"),
    )
    add(spark, tmp_path, *turns)
    definition = job(tmp_path, Path("none"))
    rows = {row["chat"]: row for row in read_source(spark, definition).collect()}
    assert sorted(rows) == ["a", "b"]
    assert [tuple(one) for one in rows["a"]["messages"]] == [
        ("system", "s"),
        ("user", "c"),
        ("assistant", "b"),
        ("user", "z"),
    ]
    assert [one["role"] for one in rows["b"]["messages"]] == [None, "tool"]
    assert rows["a"]["turn"] == 2


def test_other_names_more_fields_and_a_condition_on_turns(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.createDataFrame(
        [("x", 1, 0.5, "human", "how"), ("x", 1, 1.5, "tool", "so"), ("x", 1, 2.5, "other", "no")],
        "a STRING, b INT, at DOUBLE, who STRING, text STRING",
    )
    rows.write.parquet(f"{tmp_path}/source")
    fold = {"order": "at", "role": "who", "content": "text", "name": "a"}
    source = {"format": "parquet", "key": ["a", "b"], "fold": fold, "inputs": "messages", "where": "who != 'other'"}
    found = read_source(spark, job(tmp_path, Path("none"), source=source))
    assert found.columns == ["a", "b", "at", "messages", "who", "text"]
    (row,) = found.collect()
    assert (row["at"], row["text"]) == (1.5, "so")
    assert [one.asDict() for one in row["messages"]] == [
        {"role": "human", "content": "how", "name": "x"},
        {"role": "tool", "content": "so", "name": "x"},
    ]
    wrong = Source(path="x", key=["a"], inputs="messages", fold=Fold(order="when", role="whose", content="text"))
    with pytest.raises(SchemaError, match=r"source\.fold: expected columns when, whose in the source, it has a, b, at"):
        read_source(spark, job(tmp_path, Path("none"), source={**source, "fold": wrong.fold.model_dump()}))  # type: ignore[union-attr]


def test_turns_that_have_no_order_are_found(spark: SparkSession, tmp_path: Path) -> None:
    add(spark, tmp_path, FIRST, ("a", 1, "user", "go", "p"), ("a", None, "user", "no", "p"))
    assert str(look(spark, job(tmp_path, Path("none")))) == (
        "1 rows with a null; 1 duplicate keys, such as chat=a and turn=1 and role=user (2 rows) "
        "(in all 3 rows): turns can't be put in order"
    )
