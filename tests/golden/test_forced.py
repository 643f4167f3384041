"""What MLflow's doors make of a struct, worked out by hand, and that the page tells all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pytest

from engine.schema import ERROR, schema_of
from tests.golden.doors import DOORS
from tests.golden.forced import forced

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "doors.md"
_NO_ERROR: Final = {"code": None, "message": None, "retryable": None}


class Example(NamedTuple):
    """A value of a type as the engine says it, and as MLflow's doors give it."""

    type: pa.DataType
    said: Any
    given: Any


#: By the words of docs/doors.md.
EXAMPLES: Final[Mapping[str, Example]] = {
    "a null struct: the input is null": Example(
        schema_of("token-classification").output,
        None,
        {"entities": [], "tokens": None, "truncated": None, "error": _NO_ERROR},
    ),
    "a null `error`: the row was answered": Example(
        pa.struct([("score", pa.float32()), ("error", ERROR)]),
        {"score": 0.5, "error": None},
        {"score": 0.5, "error": _NO_ERROR},
    ),
    "another null struct, at any depth": Example(
        pa.list_(pa.struct([("a", pa.struct([("b", pa.int32()), ("c", pa.struct([("d", pa.bool_())]))]))])),
        [{"a": None}, {"a": {"b": 1, "c": None}}],
        [{"a": {"b": None, "c": {"d": None}}}, {"a": {"b": 1, "c": {"d": None}}}],
    ),
    "a null list of structs or of lists, at any depth": Example(
        pa.struct([("a", pa.list_(pa.list_(pa.float32()))), ("b", pa.list_(pa.struct([("c", pa.int32())])))]),
        {"a": None, "b": None},
        {"a": [], "b": []},
    ),
    "a null list of numbers, a null text, number or truth value": Example(
        pa.struct([("a", pa.list_(pa.float32())), ("b", pa.string()), ("c", pa.int32()), ("d", pa.bool_())]),
        {"a": None, "b": None, "c": None, "d": None},
        {"a": None, "b": None, "c": None, "d": None},
    ),
}


@pytest.mark.parametrize("words", EXAMPLES)
def test_as_worked_out_by_hand(words: str) -> None:
    example = EXAMPLES[words]
    assert forced(example.said, example.type) == example.given


def test_what_is_not_null_stays() -> None:
    output = schema_of("text-classification").output
    row = {"label": "a", "score": 0.5, "scores": [{"label": "a", "score": 0.5}], "tokens": 3, "truncated": False}
    assert forced({**row, "error": None}, output) == {**row, "error": _NO_ERROR}


def test_the_page_tells_every_difference_and_every_door() -> None:
    text = PAGE.read_text(encoding="utf-8")
    head, told = table(text, "the engine says")
    assert "`mlflow.pyfunc.spark_udf`" in head
    assert told == list(EXAMPLES)
    assert [door.strip("`") for door in table(text, "door")[1]] == list(DOORS)


def table(text: str, first: str) -> tuple[str, list[str]]:
    """The head of the page's table whose first column has this name, and the cells of that column."""
    found = re.search(rf"^(\| {re.escape(first)} \|.*)\n\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found is not None, f"a table that starts with {first!r}"
    return found[1], [line.split(" | ")[0].removeprefix("| ") for line in found[2].splitlines()]
