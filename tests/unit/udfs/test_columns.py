"""Which of Spark's types a column of recordings may have."""

from __future__ import annotations

import pytest
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DoubleType,
    MapType,
    StringType,
    StructField,
    StructType,
    _parse_datatype_json_value,
)

from engine.errors import SchemaError
from engine.options import Request
from engine.schema import schema_of
from udfs.columns import check_columns

TASK = "automatic-speech-recognition"
#: Names in DDL → in Spark's JSON.
NAMES = {"int": "integer", "bigint": "long", "smallint": "short"}


def spark_type(name: str) -> DataType:
    element = name.removeprefix("array<").removesuffix(">")
    found = StringType() if element == "string" else _parse_datatype_json_value(NAMES.get(element, element))
    return found if element == name else ArrayType(found)


def check(*columns: tuple[str, str]) -> None:
    schema = StructType([StructField(role, spark_type(name)) for role, name in columns])
    check_columns(schema, Request(inputs={role: role for role, _ in columns}), TASK, schema_of(TASK))


@pytest.mark.parametrize("name", ["binary", "string", "varchar(20)", "array<float>", "array<double>"])
def test_what_holds_recordings(name: str) -> None:
    check(("audio", name))


@pytest.mark.parametrize("name", ["int", "array<int>", "array<string>", "array<binary>", "double", "boolean"])
def test_what_holds_none(name: str) -> None:
    expected = (
        rf"column audio \(input audio of {TASK}\) to be BINARY or STRING or ARRAY<FLOAT> or ARRAY<DOUBLE>, it is "
    )
    with pytest.raises(SchemaError, match=expected + name.upper()):
        check(("audio", name))


MESSAGES = ArrayType(StructType([StructField("role", StringType()), StructField("content", StringType())]))
HOW = StructType([StructField("max_tokens", StringType())])


@pytest.mark.parametrize("messages", [MESSAGES, ArrayType(MapType(StringType(), StringType())), StringType()])
@pytest.mark.parametrize("params", [HOW, MapType(StringType(), StringType()), StringType()])
def test_what_holds_chats_and_their_parameters(messages: DataType, params: DataType) -> None:
    check_chat(messages, params)


@pytest.mark.parametrize(
    ("messages", "params", "wrong"),
    [
        (HOW, HOW, "messages"),
        (ArrayType(StringType()), HOW, "messages"),
        (MESSAGES, MESSAGES, "params"),
        (MESSAGES, DoubleType(), "params"),
    ],
)
def test_what_holds_none_of_them(messages: DataType, params: DataType, wrong: str) -> None:
    with pytest.raises(SchemaError, match=f"expected column {wrong} "):
        check_chat(messages, params)


def check_chat(messages: DataType, params: DataType) -> None:
    schema = StructType([StructField("messages", messages), StructField("params", params)])
    roles = {"messages": "messages", "params": "params"}
    check_columns(schema, Request(inputs=roles), "llm/v1/chat", schema_of("llm/v1/chat"))


@pytest.mark.parametrize("name", ["int", "bigint", "double", "smallint", "decimal(10,0)"])
def test_a_rate_is_a_number(name: str) -> None:
    check(("audio", "array<float>"), ("sampling_rate", name))


def test_a_rate_is_no_text() -> None:
    with pytest.raises(SchemaError, match="to be INT, it is STRING"):
        check(("audio", "array<float>"), ("sampling_rate", "string"))
