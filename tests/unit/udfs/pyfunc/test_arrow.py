"""Arrow tables as they come: types that hold the same values are taken, others are named."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from engine.errors import SchemaError
from engine.schema import schema_of
from udfs.pyfunc.arrow import arrow_columns, row_arrays

USER = [{"role": "user", "content": "how long"}]


@pytest.mark.parametrize(
    ("task", "name", "column", "values"),
    [
        ("text-classification", "text", pa.array(["a", None], pa.large_string()), ["a", None]),
        ("text-classification", "text", pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        ("text-classification", "text", pa.nulls(2), [None, None]),
        ("list-embeddings", "texts", pa.array([["a"], None], pa.large_list(pa.large_string())), [["a"], None]),
        ("llm/v1/embeddings", "input", pa.array([["a"], None]), [["a"], None]),
        ("automatic-speech-recognition", "audio", pa.array([b"a"], pa.large_binary()), [b"a"]),
        ("automatic-speech-recognition", "audio", pa.array([[0.5]], pa.list_(pa.float64(), 1)), [[0.5]]),
        ("automatic-speech-recognition", "sampling_rate", pa.array([8000, None], pa.int64()), [8000, None]),
        ("llm/v1/chat", "messages", pa.array([USER, None]), [USER, None]),
        ("llm/v1/chat", "params", pa.array([{"max_tokens": 3}]), [{"max_tokens": 3}]),
    ],
)
def test_what_holds_the_same_values_is_taken(task: str, name: str, column: pa.Array, values: list[Any]) -> None:
    schema = schema_of(task)
    role = schema.role(name)
    found = arrow_columns(pa.table({name: column, "id": pa.nulls(len(column))}), schema)
    assert found.keys() == {name}
    assert found[name].to_pylist() == values
    if not role.nested and not role.record:
        assert found[name].type in (role.type, *role.also)


def test_bytes_that_are_no_utf8_stay_for_their_row_to_say() -> None:
    bad = pa.array([b"\xff"], pa.large_binary()).view(pa.large_string())
    found = arrow_columns(pa.table({"text": bad}), schema_of("text-classification"))["text"]
    assert found.type == pa.string()
    assert found[0].as_buffer().to_pybytes() == b"\xff"


def test_another_type_is_named() -> None:
    with pytest.raises(SchemaError, match="expected STRING in column text, got int64: cast the column"):
        arrow_columns(pa.table({"text": [1]}), schema_of("text-classification"))


def test_parameters_of_rows_are_those_with_a_value() -> None:
    table = pa.table({"top_k": [1, None], "max_length": pa.nulls(2), "other": [1, 2]})
    assert row_arrays(table, ("top_k", "max_length", "stride")) == {"top_k": pa.array([1, None])}
