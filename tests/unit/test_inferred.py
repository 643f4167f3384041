"""Which struct a model's own results have, and which results have none."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import SchemaError
from engine.inferred import held, learn, plain
from engine.schema import ERROR, Input, ddl

INPUTS = (Input("text", pa.string()),)


def learned(*values: Any) -> str:
    return ", ".join(f"{field.name}: {ddl(field.type)}" for field in learn(INPUTS, values).fields)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ([{"label": "a", "score": 0.5}], "label: STRING, score: DOUBLE"),
        ([{"n": 1}, {"n": 2.5}], "n: DOUBLE"),
        ([{"n": 1}, {"n": None}, None], "n: BIGINT"),
        ([{"a": 1}, {"b": True}], "a: BIGINT, b: BOOLEAN"),
        ([{"spans": []}, {"spans": [{"at": 1}, {"word": "x"}]}], "spans: ARRAY<STRUCT<at: BIGINT, word: STRING>>"),
        ([[[1], []], [[0.5, 2]]], "result: ARRAY<ARRAY<DOUBLE>>"),
        (["a text"], "result: STRING"),
        ([b"\x00"], "result: BINARY"),
        ([np.float32(0.5)], "result: DOUBLE"),
        ([{"audio": np.zeros((1, 2), np.float32), "rate": np.int32(8)}], "audio: ARRAY<ARRAY<DOUBLE>>, rate: BIGINT"),
        ([{"error": "none", "x": 1}], "result: STRUCT<error: STRING, x: BIGINT>"),
        ([{"a-b": 1, "0": 2}], "a-b: BIGINT, 0: BIGINT"),
    ],
)
def test_results_have_one_struct(values: list[Any], fields: str) -> None:
    assert learned(*values) == fields


def test_a_name_that_is_no_identifier_is_quoted_in_ddl() -> None:
    assert ddl(pa.struct([("a-b", pa.int64()), ("c", pa.string())])) == "STRUCT<`a-b`: BIGINT, c: STRING>"


def test_what_is_always_null_is_a_text_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert learned({"a": None, "b": [], "c": {"d": None}}) == "a: STRING, b: ARRAY<STRING>, c: STRUCT<d: STRING>"
    assert "nothing in the sample tells the type of a, b[], c.d: taken for STRING" in caplog.text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([{"a": 1}, {"a": "x"}], "expected results of one type in a, the sample has BIGINT and STRING"),
        ([{"a": [{"b": [1]}, {"b": 2}]}], r"one type in a\[\]\.b, the sample has ARRAY and BIGINT"),
        ([{"a": 1}, 3], "one type in result, the sample has BIGINT and STRUCT"),
        ([{"a": True}, {"a": 1}], "BIGINT and BOOLEAN"),
        ([{"a": object()}], "in a, the sample has a object"),
        ([{"a b": 1}], "the sample has 'a b' in the result: rename it in the model"),
        ([{"x": {"Label": 1, "label": 2}}], "the sample has 'Label' in x"),
        ([None], "expected a result to learn the struct from, got none"),
    ],
)
def test_results_without_one_struct_are_refused(values: list[Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        learn(INPUTS, values)


def test_the_struct_of_earlier_results_is_the_same_schema() -> None:
    first = learn(INPUTS, [{"spans": [{"at": 1}], "n": 2.5}])
    assert held(INPUTS, first.output) == first
    read = pa.struct([pa.field("n", pa.list_(pa.field("item", pa.int64(), nullable=False))), ("error", ERROR)])
    again = held(INPUTS, read)
    assert again is not None
    assert again.output == pa.struct([("n", pa.list_(pa.field("element", pa.int64()))), ("error", ERROR)])


@pytest.mark.parametrize("other", [pa.string(), pa.struct([("n", pa.int64())]), pa.struct([("error", ERROR)])])
def test_another_column_is_no_struct_of_earlier_results(other: pa.DataType) -> None:
    assert held(INPUTS, other) is None


def test_values_become_plain() -> None:
    assert plain({1: (np.int64(2), np.array([0.5])), "x": [np.bool_(True)]}) == {"1": [2, [0.5]], "x": [True]}
