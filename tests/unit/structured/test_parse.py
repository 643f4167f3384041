"""Texts as a typed column, digit for digit."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ParameterError, SchemaError
from engine.structured import parse, value_type

PERSON: Final = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "height": {"type": "number"},
        "tags": {"type": "array", "items": {"enum": ["x", "y"]}},
        "home": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"city": {"type": "string"}}}]},
        "extra": {"type": "object"},
    },
    "required": ["name"],
}
TEXTS: Final = st.text(st.characters(codec="utf-8"), max_size=8)
PEOPLE: Final = st.fixed_dictionaries(
    {"name": TEXTS},
    optional={
        "age": st.integers(-(2**63), 2**63 - 1),
        "height": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**40), 10**40),
        "tags": st.lists(st.sampled_from(["x", "y"]), max_size=3),
        "home": st.none() | st.fixed_dictionaries({}, optional={"city": TEXTS}),
        "extra": st.dictionaries(TEXTS, st.recursive(st.none() | st.booleans() | TEXTS | st.integers(), st.lists)),
    },
)


def column(schema: Any, *texts: str | None) -> list[Any]:
    parsed = parse(schema, pa.array(texts, pa.string()))
    assert parsed.type == value_type(schema)
    return parsed.to_pylist()


@settings(max_examples=60, deadline=None)
@given(st.lists(PEOPLE, max_size=4), st.booleans(), st.sampled_from([None, 2]))
def test_equals_json_loads(people: list[dict[str, Any]], ascii_only: bool, indent: int | None) -> None:
    texts = [json.dumps(person, ensure_ascii=ascii_only, indent=indent) for person in people]
    for got, text in zip(column(PERSON, *texts), texts, strict=True):
        expected = json.loads(text)
        held = got.pop("extra")
        assert (None if held is None else json.loads(held)) == expected.pop("extra", None)
        home, height = expected.get("home"), expected.get("height")
        assert got == {
            "name": expected["name"],
            "age": expected.get("age"),
            "height": None if height is None else float(height),
            "tags": expected.get("tags"),
            "home": None if home is None else {"city": home.get("city")},
        }


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(TEXTS, st.recursive(st.none() | st.booleans() | TEXTS | st.integers() | st.floats(-9, 9), st.lists))
)
def test_json_that_is_held_is_the_same_json(value: dict[str, Any]) -> None:
    [held] = column({"type": "object"}, json.dumps(value))
    assert json.loads(held) == value


def test_numbers_digit_for_digit() -> None:
    integers = {"type": "array", "items": {"type": "integer"}}
    assert column(integers, "[9223372036854775807, -9223372036854775808, 1.0, 1e2, -0, 12345678901234567e2]") == [
        [9223372036854775807, -9223372036854775808, 1, 100, 0, 1234567890123456700]
    ]
    assert column(integers, "[9223372036854775808]", "[1.5]", "[1e999999999]", "[1e99999999999999999999]") == [None] * 4
    numbers = {"type": "array", "items": {"type": "number"}}
    assert column(numbers, "[0.1, 1, 123456789012345678901234567890, 5e-324, 1e-999]", "[1e999]") == [
        [0.1, 1.0, 1.2345678901234568e29, 5e-324, 0.0],
        None,
    ]
    assert column({"type": "object"}, '{"a":  1.10, "b": 123456789012345678901, "c": [true, "é\\u00e9"]}') == [
        '{"a":1.10,"b":123456789012345678901,"c":[true,"éé"]}'
    ]


def test_strings_as_json_has_them() -> None:
    assert column({"type": "string"}, '"\\ud83d\\ude00\\u0000\\n"', '"\\ud800"', '"a', "1") == [
        "😀\x00\n",
        None,
        None,
        None,
    ]
    assert column({"type": ["string", "integer"]}, '"a"', "1") == ['"a"', "1"]


def test_null_where_there_is_no_value() -> None:
    assert column(PERSON, None, "", "{}", '{"name": "Ada"}', '{"name": 1}', "null", '{"name": "Ada", "age": "3"}') == [
        None,
        None,
        None,
        {"name": "Ada", "age": None, "height": None, "tags": None, "home": None, "extra": None},
        None,
        None,
        None,
    ]
    assert column({"type": ["boolean", "null"]}, "null", "false") == [None, False]
    assert column({"enum": ["a", None]}, "null", '"a"') == [None, "a"]
    deep = "[" * (sys.getrecursionlimit() // 2) + "]" * (sys.getrecursionlimit() // 2)
    assert column({}, deep)[0] in (None, deep)


def test_schemas_that_are_refused() -> None:
    with pytest.raises(ParameterError, match="type is none"):
        parse({"type": "text"}, pa.array(["a"]))
    with pytest.raises(SchemaError, match="names a table's fields"):
        parse({"type": "object", "properties": {"a b": {}}}, pa.array(["{}"]))
