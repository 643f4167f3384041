"""Texts → a typed column of the values that they are. Runs in the worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa

from engine.errors import RowError, SchemaError
from engine.structured.check import check_text
from engine.structured.formats import Format, read_format
from engine.structured.types import typed
from engine.structured.values import Typed


def parse(schema: Mapping[str, Any], texts: pa.Array) -> pa.Array:
    """The values of texts, typed by ``engine.structured.value_type(schema)``.

    Args:
        schema: JSON Schema.
        texts: string; what is null, no whole valid value of the schema or beyond its type (an integer of more than
            64 bits, hundreds of levels where JSON is held) gives null.

    Numbers are read digit by digit: 64-bit integers keep all of theirs, and ``1.0`` is an integer as JSON Schema has
    it. Raises ParameterError and SchemaError for the schema, as ``grammar_for`` and ``value_type`` do.
    """
    asked = read_format({"type": "json_schema", "json_schema": {"schema": schema}})
    assert asked is not None
    kind = typed(schema)
    return pa.array([_value(asked, kind, text) for text in texts.cast(pa.large_binary()).to_pylist()], kind.type)


def schema_in(response_format: Any) -> Mapping[str, Any]:
    """The schema of a response_format of type json_schema. Raises SchemaError for all others."""
    if not isinstance(response_format, Mapping):
        raise SchemaError("expected a response_format for all rows, of type json_schema: write it in the parameters")
    read_format(response_format)
    if response_format["type"] != "json_schema":
        raise SchemaError(
            f"expected a response_format of type json_schema, whose values have a type, got {response_format['type']}"
        )
    schema: Mapping[str, Any] = response_format["json_schema"]["schema"]
    return schema


def _value(asked: Format, kind: Typed, coded: bytes | None) -> Any:
    if coded is None:
        return None
    try:
        text = coded.decode()
        check_text(asked, text)
        value = json.loads(text, parse_int=Decimal, parse_float=Decimal)
        return None if value is None else kind.read(value)
    except (
        RowError,
        ValueError,
        ArithmeticError,
        RecursionError,
    ):  # what is no value of the schema is no value of its type
        return None
