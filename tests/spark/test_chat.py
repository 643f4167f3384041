"""Chats on Spark: the same answers through every door, and by the row's key in a job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.options import Compute
from jobs.batches.requests import REFUSED
from tests import chats, talks
from tests.spark import job
from udfs import register, score, udf
from udfs.scoring import PreparedModel, prepare

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

TYPES = (
    "id INT, talk ARRAY<STRUCT<role: STRING, content: STRING, name: STRING>>, "
    "how STRUCT<max_tokens: BIGINT, temperature: DOUBLE, stop: ARRAY<STRING>>"
)
ROWS: list[tuple[Any, ...]] = [
    (0, [("system", "be kind", None), ("user", "what can they do", "ann")], (3, 0.0, None)),
    (1, None, (3, None, None)),
    (2, [("wizard", "go", None)], None),
    (3, [], (None, 0.7, ["e"])),
    (4, [("user", "so many people", None)], (None, 1.5, ["e"])),
    (5, [("user", "so many people", None)], None),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chats.save(tmp_path_factory.mktemp("chats"))


def prepared(spark: SparkSession, folder: Path, **params: Any) -> PreparedModel:
    given = {"max_tokens": 6, **params}
    return prepare(spark, str(folder), task="llm/v1/chat", params=given, compute=Compute(dtype="float32"))


def answers(scored: DataFrame) -> list[dict[str, Any] | None]:
    return [row["s"] and row["s"].asDict(recursive=True) for row in scored.orderBy("id").collect()]


def test_structs_through_every_door(spark: SparkSession, folder: Path) -> None:
    model = prepared(spark, folder)
    df = spark.createDataFrame(ROWS, TYPES).coalesce(1)
    expected = answers(score(df, model=model, input={"messages": "talk", "params": "how"}, output="s"))
    codes = [row and (row["error"] or {}).get("code", "answered") for row in expected]
    assert codes == ["answered", None, "template_refused", "invalid_messages", "answered", "answered"]
    assert [row["model"] for row in expected if row and row["model"]] == [folder.name] * 3
    register(spark, "chats", model)
    df.createOrReplaceTempView("talks")
    by_pandas = answers(df.select("id", udf(spark, model, kind="pandas")("talk", "how").alias("s")))
    for found in (answers(spark.sql("SELECT id, chats(talk, how) AS s FROM talks")), by_pandas):
        assert _without_cached(found[:1] + found[2:]) == _without_cached(expected[:1] + expected[2:])


def test_json_through_every_door(spark: SparkSession, folder: Path) -> None:
    talks = [chats.user("what can they do"), None, {"messages": chats.user("go"), "n": 2, "model": "m"}, "none"]
    rows = [(at, None if talk is None else json.dumps(talk)) for at, talk in enumerate(talks)]
    df = spark.createDataFrame(rows, "id INT, talk STRING").coalesce(1)
    model = prepared(spark, folder, strings="json")
    expected = answers(score(df, model=model, input="talk", output="s"))
    assert [row and len(row["choices"] or ()) for row in expected] == [1, None, 2, 0]
    for kind in ("arrow", "pandas"):
        found = answers(df.select("id", udf(spark, model, kind=kind)("talk").alias("s")))
        assert _without_cached(found[:1] + found[2:]) == _without_cached(expected[:1] + expected[2:])


def _without_cached(rows: list[Any]) -> list[Any]:
    """What was in memory already is told, and depends on the company."""
    for row in rows:
        if row and row["usage"]:
            row["usage"]["prompt_tokens_details"] = None
    return rows


@pytest.mark.usefixtures("no_mlflow")
def test_drawn_answers_of_a_job_come_from_the_keys_and_are_values_of_the_schema(
    spark: SparkSession, tmp_path: Path
) -> None:
    from jobs.runner import run

    rows = [(at, "so many people", "a column of that name is no batch file's") for at in range(4)]
    source = spark.createDataFrame(rows, f"id INT, body STRING, {REFUSED} STRING").coalesce(1)
    source.write.format("delta").save(f"{tmp_path}/source")
    properties = {"topic": {"enum": ["a", "b"]}, "urgent": {"type": "boolean"}, "stars": {"enum": [*range(10)]}}
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    definition = job.define(
        tmp_path,
        talks.save(tmp_path / "model"),
        task="llm/v1/chat",
        source={"inputs": {"messages": "body"}},
        params={
            "max_tokens": 64,
            "temperature": 1.5,
            "response_format": {"type": "json_schema", "json_schema": {"name": "ticket", "schema": schema}},
        },
        sink={"output": "answer", "keep": [], "parse": "ticket"},
    )
    run(definition, spark=spark)
    found = job.sink(spark, tmp_path)
    assert [row.answer.error for row in found] == [None] * 4
    assert len({row.answer.id for row in found}) == 4
    texts = [row.answer.choices[0].message.content for row in found]
    assert len(set(texts)) > 1
    assert [json.loads(text) for text in texts] == [row.ticket.asDict() for row in found]
    assert {name: type(value) for name, value in found[0].ticket.asDict().items()} == {
        "topic": str,
        "urgent": bool,
        "stars": int,
    }
