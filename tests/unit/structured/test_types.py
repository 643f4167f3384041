"""JSON Schema → Arrow type → Spark DDL."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import SchemaError
from engine.schema import ddl
from engine.structured import value_type

NODE = {"type": "object", "properties": {"n": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}}}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "spark"),
    [
        ({"type": "string"}, "STRING"),
        ({"type": ["integer", "null"]}, "BIGINT"),
        ({"type": "integer", "maximum": 2**63}, "STRING"),
        ({"type": "number"}, "DOUBLE"),
        ({"type": "boolean", "title": "x"}, "BOOLEAN"),
        ({"enum": ["a", "b", None]}, "STRING"),
        ({"enum": [1, 2]}, "BIGINT"),
        ({"enum": [1, 2.5]}, "DOUBLE"),
        ({"const": True}, "BOOLEAN"),
        ({"enum": [1, "a"]}, "STRING"),
        ({"const": 2**63}, "STRING"),
        ({"type": "array", "items": {"type": "integer"}}, "ARRAY<BIGINT>"),
        ({"type": "array"}, "STRING"),
        ({"type": "array", "prefixItems": [{}], "items": {"type": "integer"}}, "STRING"),
        ({"type": "object"}, "STRING"),
        (closed(), "STRING"),
        (
            closed(b={"type": "string"}, a=closed(x={"type": "array", "items": closed(y={"type": "number"})})),
            "STRUCT<b: STRING, a: STRUCT<x: ARRAY<STRUCT<y: DOUBLE>>>>",
        ),
        ({"type": "object", "properties": {"a": {"type": "boolean"}}}, "STRUCT<a: BOOLEAN>"),
        ({"type": "object", "properties": {"a": {"type": "boolean"}}, "additionalProperties": True}, "STRING"),
        ({"type": "object", "properties": {"a": {"type": "boolean"}}, "additionalProperties": {}}, "STRING"),
        ({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a", "b"]}, "STRING"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "STRING"),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}], "default": None}, "BIGINT"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "STRING"),
        ({"type": ["string", "integer"]}, "STRING"),
        ({"allOf": [{"type": "integer"}]}, "STRING"),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer"}}}, "BIGINT"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "STRING"),
        ({"$ref": "#/$defs/node", "$defs": {"node": NODE}}, "STRUCT<n: BIGINT, next: STRING>"),
        (closed(**{"full-name": {"type": "string"}}), "STRUCT<`full-name`: STRING>"),
        (True, "STRING"),
    ],
)
def test_types(schema: Any, spark: str) -> None:
    assert ddl(value_type(schema)) == spark


@pytest.mark.parametrize("names", [["full name"], ["a", "A"], ["a`"], [""], ["x=y"]])
def test_names_that_no_table_takes(names: list[str]) -> None:
    with pytest.raises(SchemaError, match="expected properties whose names a table's fields can have"):
        value_type(closed(list=closed(**{name: {"type": "string"} for name in names})))
