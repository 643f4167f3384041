"""Columns of pandas, as Spark gives them, in the types that the engine reads."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from engine.schema import schema_of
from engine.tasks.table_cells import read_table
from udfs.sql import arrow_column

PARAMS = schema_of("llm/v1/chat").role("params")
TABLE = schema_of("table-question-answering").role("table")


def column(*values: Any) -> pa.Array:
    return arrow_column(pd.Series(values, dtype=object), TABLE)


@pytest.mark.parametrize(
    "rows",
    [
        [{"people": 2.5, "city": "rome"}, {"people": None, "city": "café"}],
        [{"when": datetime.datetime(2001, 5, 1, 12), "cost": Decimal("1.50"), "open": True, "n": 1}],
        [{"list": ["a", "b"], "struct": {"b": 1, "a": None}}],
    ],
)
def test_lists_of_structs_are_the_same_table_as_json(rows: list[dict[str, Any]]) -> None:
    [text] = column(np.array(rows, object)).to_pylist()
    assert read_table(text) == read_table(rows)


def test_arrays_in_a_struct_are_lists() -> None:
    [text] = column(np.array([{"list": np.array([1, 2])}], object)).to_pylist()
    assert read_table(text) == read_table([{"list": [1, 2]}])


def test_the_keys_of_a_map_are_its_own() -> None:
    tables = ([{"city": "rome"}], [{"people": "many"}])
    assert [read_table(text) for text in column(*(np.array(rows, object) for rows in tables)).to_pylist()] == [
        read_table(rows) for rows in tables
    ]


def test_lists_are_told_from_texts_by_their_type_and_nulls_have_none() -> None:
    batches = [column('[{"a": 1}]', None), column(None, None), column(np.array([]), np.array([{"a": 1}], object))]
    assert [one.type for one in batches] == [pa.string(), pa.null(), pa.binary()]
    assert [one.to_pylist() for one in batches] == [['[{"a": 1}]', None], [None, None], [b"[]", b'[{"a": 1}]']]


def test_decimals_among_parameters_are_numbers() -> None:
    """Spark SQL reads 0.7 as one."""
    frame = pd.DataFrame({"temperature": [Decimal("0.7"), None], "logit_bias": [{"5": Decimal("1.5")}, None]})
    assert arrow_column(frame, PARAMS).to_pylist() == ['{"temperature": 0.7, "logit_bias": {"5": 1.5}}', "{}"]


def test_structs_are_json_without_their_nulls() -> None:
    """pandas has a column of structs as a frame, in which a null makes a float of a whole number."""
    frame = pd.DataFrame({"max_tokens": [6.0, None], "temperature": [0.5, 1.0], "stop": [np.array(["a"]), None]})
    found = arrow_column(frame, PARAMS)
    expected = ['{"max_tokens": 6, "temperature": 0.5, "stop": ["a"]}', '{"temperature": 1}']
    assert found.equals(pa.array(expected, pa.string()))


def test_maps_and_texts_in_the_place_of_structs() -> None:
    found = arrow_column(pd.Series([{"n": 2, "seed": None}, '{"n": 3}', None], dtype=object), PARAMS)
    assert found.equals(pa.array(['{"n": 2}', '{"n": 3}', None], pa.string()))


@pytest.mark.parametrize(
    ("value", "of"),
    [
        (b"RIFF", pa.binary()),
        ("a path", pa.string()),
        (np.array([0.5], np.float32), pa.list_(pa.float32())),
        (np.array([0.5]), pa.list_(pa.float64())),
        (None, pa.null()),
    ],
)
def test_recordings_keep_what_they_hold(value: Any, of: pa.DataType) -> None:
    role = schema_of("automatic-speech-recognition").role("audio")
    found = arrow_column(pd.Series([None, value], dtype=object), role)
    assert found.type == of
    assert found.null_count == 1 + (value is None)
