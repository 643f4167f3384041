"""Frames that Arrow can't take as a whole: bad cells are errors of their rows, or named."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from engine.errors import SchemaError
from engine.schema import schema_of
from udfs.pyfunc.cells import role_columns
from udfs.pyfunc.frames import params_of

USER = [{"role": "user", "content": "how long"}]


def column(task: str, cells: list[Any], *, said: bool = True) -> pa.Array:
    schema = schema_of(task)
    name = schema.inputs[-1 if task == "table-question-answering" else 0].name
    return role_columns(pd.DataFrame({name: pd.Series(cells, dtype=object)}), schema, said=said)[name]


def held(array: pa.Array) -> list[bytes | None]:
    """The bytes of a column of texts, which need not be UTF-8."""
    return [None if cell.as_buffer() is None else cell.as_buffer().to_pybytes() for cell in array]


def test_a_text_that_is_no_utf8_stays_as_it_is() -> None:
    found = column("text-classification", ["one", "\ud800", b"\xff", b"two", None, float("nan"), pd.NA])
    assert found.type == pa.string()
    assert held(found) == [b"one", b"\xed\xa0\x80", b"\xff", b"two", None, None, None]


def test_lists_of_texts_too() -> None:
    found = column("list-embeddings", [["one", "\ud800", None], np.array(["two"], object), None])
    assert found.type.value_type == pa.string()
    assert found.is_valid().to_pylist() == [True, True, False]
    assert held(found.flatten()) == [b"one", b"\xed\xa0\x80", None, b"two"]


def test_a_cell_that_is_no_text_is_named_by_its_row_and_not_shown() -> None:
    with pytest.raises(SchemaError) as caught:
        column("text-classification", ["one", None, 4711])
    assert str(caught.value) == (
        "expected STRING in column text, got a int in row 2: convert the column, or leave the row out"
    )
    assert caught.value.__suppress_context__


def test_conversations_and_plain_strings_in_one_column() -> None:
    found = column("llm/v1/chat", [USER, "how long", None, {"messages": USER, "max_tokens": 3}])
    assert [None if cell is None else json.loads(cell) for cell in found.to_pylist()] == [
        USER,
        USER,
        None,
        {"messages": USER, "max_tokens": 3},
    ]
    as_json = column("llm/v1/chat", [USER, json.dumps(USER)], said=False)
    assert [json.loads(cell) for cell in as_json.to_pylist()] == [USER, USER]
    assert column("llm/v1/chat", ["how long", None]).to_pylist() == ["how long", None]
    assert held(column("llm/v1/chat", ["how long", "\ud800"])) == [b"how long", b"\xed\xa0\x80"]


def test_a_table_of_columns() -> None:
    table = {"city": ["Rome", "Bern"], "people": [np.int64(3), None]}
    (cell, null) = column("table-question-answering", [table, None]).to_pylist()
    assert json.loads(cell) == {"city": ["Rome", "Bern"], "people": [3, None]}
    assert null is None


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([b"RIFF", [0.5]], "expected .* in column audio, one kind for all rows: convert the column"),
        ([{"array": [0.5], "sampling_rate": 8000}], "expected .* in column audio, got struct"),
    ],
)
def test_recordings_of_another_kind_are_refused(cells: list[Any], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        column("automatic-speech-recognition", cells)


def test_parameters_of_rows() -> None:
    frame = pd.DataFrame({"top_k": [2.0, None], "targets": [["a"], None], "max_length": [None, None]})
    found = params_of(frame, ("top_k", "targets", "max_length", "padding"))
    assert {name: values.to_pylist() for name, values in found.items()} == {
        "top_k": [2, None],
        "targets": [["a"], None],
    }
    with pytest.raises(SchemaError, match="column top_k, got several") as caught:
        params_of(pd.DataFrame({"top_k": [2, "secret"]}), ("top_k",))
    assert caught.value.__suppress_context__
