"""Which of Spark's types a column of recordings may have."""

from __future__ import annotations

import pytest
from pyspark.sql.types import ArrayType, DataType, StringType, StructField, StructType, _parse_datatype_json_value

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


@pytest.mark.parametrize("name", ["int", "bigint", "double", "smallint", "decimal(10,0)"])
def test_a_rate_is_a_number(name: str) -> None:
    check(("audio", "array<float>"), ("sampling_rate", name))


def test_a_rate_is_no_text() -> None:
    with pytest.raises(SchemaError, match="to be INT, it is STRING"):
        check(("audio", "array<float>"), ("sampling_rate", "string"))
