"""Finished texts against the form that was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import ParameterError, RowError
from engine.structured import check_value


def schema(of: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": of}}


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"type": "text"}, "whatever"),
        ({"type": "json_object"}, ' {"a": [1, {"b": null}]}\n'),
        ({"type": "regex", "pattern": r"^\d+ €$"}, "12 €"),
        ({"type": "regex", "pattern": r"(a+)+b"}, "aab"),
        ({"type": "choice", "choices": ["yes", "no"]}, "no"),
        (schema({"type": "integer", "maximum": 9}), "9"),
        (schema({"type": "string", "format": "date"}), '"2024-02-29"'),
        (schema({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "null"}]}), "[null, 1]"),
    ],
)
def test_whole_values(asked: dict[str, Any], text: str) -> None:
    check_value(asked, text)


@pytest.mark.parametrize(
    ("asked", "text", "says"),
    [
        ({"type": "json_object"}, '{"a": ', "one whole JSON value"),
        ({"type": "json_object"}, "", "one whole JSON value"),
        ({"type": "json_object"}, "{} {}", "one whole JSON value"),
        ({"type": "json_object"}, '{"a": NaN}', "one whole JSON value"),
        ({"type": "json_object"}, '{"a": 1e999}', "one whole JSON value"),
        ({"type": "json_object"}, '{"a": "\\ud800"}', "one whole JSON value"),
        ({"type": "json_object"}, "[" * 100_000, "one whole JSON value"),
        ({"type": "json_object"}, "[]", "its type is not met"),
        ({"type": "regex", "pattern": r"^\d+ €$"}, "12 €\n", "matches the whole pattern"),
        ({"type": "regex", "pattern": r"(a+)+b"}, "a" * 5000, "matches the whole pattern"),
        ({"type": "choice", "choices": ["yes", "no"]}, "n", "one of the choices"),
        (schema({"type": "integer", "maximum": 9}), "10", "its maximum is not met"),
        (schema({"type": "string", "format": "date"}), '"2023-02-29"', "its format is not met"),
        (schema({"properties": {"a": {"enum": ["x"]}}}), '{"a":"y"}', "its enum is not met"),
    ],
)
def test_others(asked: dict[str, Any], text: str, says: str) -> None:
    with pytest.raises(RowError, match=says) as caught:
        check_value(asked, text)
    assert (caught.value.code, caught.value.retryable) == ("incomplete", False)


def test_a_format_that_is_none() -> None:
    with pytest.raises(ParameterError, match="a type among"):
        check_value({"type": "yaml"}, "a: 1")
