"""Answers as typed columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from engine.errors import ParameterError, SchemaError
from engine.options import Column
from engine.schema import ddl, schema_of
from jobs import parsing
from jobs.sections import Sink
from udfs import parsed
from udfs.answers import parsed_type

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

SCHEMA: Final = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        "price": {"type": ["number", "null"]},
        "more": {"type": "object"},
    },
    "required": ["id", "name"],
}
FORMAT: Final = {"type": "json_schema", "json_schema": {"name": "order", "schema": SCHEMA}}
TYPE: Final = "STRUCT<id: BIGINT, name: STRING, parts: ARRAY<STRUCT<n: BIGINT>>, price: DOUBLE, more: STRING>"
WHOLE: Final = (
    '{"id":9223372036854775807,"name":"\\u00e9\\ud83d\\ude00","parts":[{"n":1},{}],"price":0.1,"more":{"a":1.10}}'
)
ORDER: Final = {"id": 2**63 - 1, "name": "é😀", "parts": [{"n": 1}, {"n": None}], "price": 0.1, "more": '{"a":1.10}'}
LESS: Final = {"id": 1, "name": "a", "parts": None, "price": None, "more": None}


def rows(df: DataFrame, column: str) -> list[Any]:
    found = [row[column] for row in df.orderBy("n").collect()]
    return [None if one is None else one.asDict(recursive=True) for one in found]


def chats(spark: SparkSession) -> DataFrame:
    """Answers as llm/v1/chat gives them: a whole one, one with an error, none, and a null struct."""
    said = [(WHOLE, None), ('{"id":1,"name":"a"}', None), (WHOLE, "incomplete"), (None, None)]
    values = [
        (
            n,
            {
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}] if text else [],
                "error": {"code": code} if code else None,
            },
        )
        for n, (text, code) in enumerate(said)
    ]
    full = ddl(schema_of("llm/v1/chat").output)
    return spark.createDataFrame([*values, (4, None)], f"n INT, `the answer` {full}").repartition(2)


def test_a_column_of_strings(spark: SparkSession) -> None:
    texts = [WHOLE, '{"id":1.0,"name":"a"}', '{"id":9223372036854775808,"name":"a"}', '{"id":1', None]
    df = spark.createDataFrame(list(enumerate(texts)), "n INT, text STRING")
    done = parsed(df, column="text", response_format=FORMAT, output="order")
    assert done.columns == ["n", "text", "order"]
    assert done.schema["order"].dataType.simpleString() == TYPE.replace(": ", ":").replace(", ", ",").lower()
    assert rows(done, "order") == [ORDER, LESS, None, None, None]


def test_chats(spark: SparkSession) -> None:
    done = parsed(chats(spark), column="the answer", response_format=FORMAT, output="order")
    assert rows(done, "order") == [ORDER, LESS, None, None, None]


def test_completions(spark: SparkSession) -> None:
    df = spark.createDataFrame([(0, None)], f"n INT, answer {ddl(schema_of('text-generation').output)}")
    done = parsed(df, column="answer", response_format=FORMAT, output="order")
    assert rows(done, "order") == [None]


def test_the_column_of_a_sink(spark: SparkSession) -> None:
    sink = Sink(table="t", output="the answer", parse="order")
    scored, params = chats(spark), {"response_format": FORMAT}
    kind = scored.schema["the answer"].dataType
    [field] = parsing.fields(sink, kind, params, ["n", "the answer"])
    done = scored.select("n", "the answer", *parsing.columns(sink, scored, params))
    assert done.schema["order"] == field
    assert rows(done, "order") == [ORDER, LESS, None, None, None]
    assert [*parsing.fields(Sink(table="t"), kind, {}, []), *parsing.columns(Sink(table="t"), scored, {})] == []


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "sink.parse: expected a response_format for all rows, of type json_schema"),
        ({"response_format": Column("form")}, "sink.parse: expected a response_format for all rows"),
        (
            {"response_format": {"type": "json_object"}},
            "of type json_schema, whose values have a type, got json_object",
        ),
        ({"response_format": {"type": "choice", "choices": ["a"]}}, "whose values have a type, got choice"),
    ],
)
def test_formats_without_a_type(spark: SparkSession, params: dict[str, Any], says: str) -> None:
    kind = chats(spark).schema["the answer"].dataType
    with pytest.raises(SchemaError, match=says):
        list(parsing.fields(Sink(table="t", parse="order"), kind, params, []))


def test_sinks_that_are_refused(spark: SparkSession) -> None:
    from pyspark.sql.types import DataType

    chat, other = chats(spark).schema["the answer"].dataType, DataType.fromDDL(ddl(schema_of("embeddings").output))
    params, sink = {"response_format": FORMAT}, Sink(table="t", parse="order")
    with pytest.raises(SchemaError, match=r"sink.parse: expected prediction to be a string or a chat's struct, got"):
        list(parsing.fields(sink, other, params, []))
    with pytest.raises(SchemaError, match=r"sink.parse: expected a name that no other column has, got order"):
        list(parsing.fields(sink, chat, params, ["Order"]))


def test_columns_that_are_refused(spark: SparkSession) -> None:
    df = spark.createDataFrame([(0, "{}")], "n INT, text STRING")
    with pytest.raises(SchemaError, match="expected a column body, the table has n, text"):
        parsed(df, column="body", response_format=FORMAT, output="order")
    with pytest.raises(SchemaError, match="already has a column N"):
        parsed(df, column="text", response_format=FORMAT, output="N")
    with pytest.raises(SchemaError, match="expected n to be a string or a chat's struct, got int"):
        parsed(df, column="n", response_format=FORMAT, output="order")
    with pytest.raises(ParameterError, match="type is none"):
        parsed_type({"type": "json_schema", "json_schema": {"schema": {"type": "text"}}})


def test_a_spark_without_arrow_udfs_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyspark.sql.functions as functions

    monkeypatch.delattr(functions, "arrow_udf", raising=False)
    with pytest.raises(ParameterError, match=r"need Spark 4\.1 or later"):
        parsed_type(FORMAT)
