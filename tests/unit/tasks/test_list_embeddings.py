"""A vector for each text of a list: those of task embeddings, in their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from engine.options import Column
from engine.schema import schema_of
from tests import scoring, tiny

LONG = " ".join(tiny.WORDS[i % 90] for i in range(5000))
LISTS: list[list[str | None] | None] = [
    ["the cat", None, "ünïcode 😀 שלום", ""],
    None,
    [],
    [None],
    [LONG, "a day"],
    ["so many people"],
    ["the cat", None, "ünïcode 😀 שלום", ""],
    [None, "the cat"],
]
STRINGS = pa.list_(pa.field("element", pa.string()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("lists") / "model", head="")


def rows(folder: Path, column: Any, *, task: str, batch_tokens: int = 128, **params: Any) -> list[Any]:
    """The structs of a column of lists (or of strings)."""
    role = schema_of(task).inputs[0].name
    made = scoring.scorer(folder, task=task, inputs=(role,), params=params, batch_tokens=batch_tokens)
    scored = list(made.score(pa.table({role: column}).to_batches(max_chunksize=3)))
    assert {one.result.type for one in scored} == {schema_of(task).output}
    return [row for one in scored for row in one.result.to_pylist()]


def vector(folder: Path, text: str) -> tuple[np.ndarray, int]:
    """The mean of the last hidden state by plain transformers, and of how many tokens."""
    inputs = AutoTokenizer.from_pretrained(folder)(text, truncation=True, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state[0].numpy()
    return hidden.mean(axis=0), len(hidden)


def assert_vectors(found: Any, wanted: list[tuple[np.ndarray, int] | None]) -> None:
    assert [one is None for one in found] == [one is None for one in wanted]
    for one, want in zip(found, wanted, strict=True):
        if want is not None:
            np.testing.assert_allclose(one, want[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_each_text_of_a_list_has_its_vector_and_each_null_its_null(tmp_path: Path, architecture: str) -> None:
    folder = tiny.save(tmp_path / "model", architecture, head="")
    found = rows(folder, pa.array(LISTS, STRINGS), task="list-embeddings")
    for row, texts in zip(found, LISTS, strict=True):
        assert (row is None) == (texts is None)
        if texts is not None:
            wanted = [text if text is None else vector(folder, text) for text in texts]
            assert_vectors(row["embeddings"], wanted)
            assert row["tokens"] == sum(one[1] for one in wanted if one is not None)
            assert row["truncated"] == (LONG in texts)


def test_lists_without_a_text_make_a_whole_window(folder: Path) -> None:
    found = rows(folder, pa.array([[], [None, None], None], STRINGS), task="list-embeddings")
    assert found == [
        {"embeddings": [], "tokens": 0, "truncated": False, "error": None},
        {"embeddings": [None, None], "tokens": 0, "truncated": False, "error": None},
        None,
    ]


def test_parameters_mean_what_they_mean_for_embeddings(folder: Path) -> None:
    params: dict[str, Any] = {"long_text": "chunk", "max_length": 10, "stride": 2, "normalize": True, "dimensions": 5}
    texts = [text for texts in LISTS if texts for text in texts if text is not None]
    alone = scoring.rows(scoring.scorer(folder, task="embeddings", params=params), text=texts)
    found = rows(folder, pa.array(LISTS, STRINGS), task="list-embeddings", **params)
    vectors = [one for row in found if row for one in row["embeddings"] if one is not None]
    np.testing.assert_allclose(vectors, [row["embedding"] for row in alone], rtol=1e-5, atol=1e-5)
    assert sum(row["tokens"] for row in found if row) == sum(row["tokens"] for row in alone) > 5000


def test_a_list_may_ask_for_its_own_pooling(folder: Path) -> None:
    lists = pa.array([["the cat", "a day"], ["the cat"], ["the cat"]], STRINGS)
    made = scoring.scorer(folder, task="list-embeddings", inputs=("texts",), params={"pooling": Column("how")})
    table = pa.table({"texts": lists, "how": ["cls", None, "cls"]})
    [scored] = made.score(table.to_batches())
    first, mean, cls = scored.result.to_pylist()
    assert len(first["embeddings"]) == 2
    np.testing.assert_allclose(first["embeddings"][0], cls["embeddings"][0], rtol=1e-5, atol=1e-5)
    assert_vectors(mean["embeddings"], [vector(folder, "the cat")])


def test_a_text_that_is_too_long_costs_its_list(folder: Path) -> None:
    found = rows(folder, pa.array(LISTS, STRINGS), task="list-embeddings", long_text="error")
    errors = [row and row["error"] and row["error"]["code"] for row in found]
    assert errors == [None, None, None, None, "too_long", None, None, None]
    assert found[4]["embeddings"] is None


def lists_of(values: list[list[bytes]]) -> pa.Array:
    """Lists of these bytes as strings, unchecked."""
    flat = pa.array([value for one in values for value in one], pa.binary()).view(pa.string())
    return pa.ListArray.from_arrays(pa.array(np.cumsum([0, *map(len, values)]), pa.int32()), flat, type=STRINGS)


@pytest.mark.parametrize("task", ["list-embeddings", "llm/v1/embeddings"])
def test_bytes_that_are_no_text_cost_their_list(folder: Path, task: str) -> None:
    column = lists_of([[b"the cat"], [b"the", b"caf\xe9"], [], [b"\xff"], [b"a day", b"the"]])
    found = rows(folder, column, task=task)
    assert [row["error"] and row["error"]["code"] for row in found] == [
        None,
        "invalid_text",
        None,
        "invalid_text",
        None,
    ]


def test_openais_shape_of_lists(folder: Path) -> None:
    """A null among the texts is an error, as it is there; an empty list has no data."""
    found = rows(folder, pa.array(LISTS, STRINGS), task="llm/v1/embeddings")
    codes = [row and row["error"] and row["error"]["code"] for row in found]
    assert codes == ["invalid_text", None, None, "invalid_text", None, None, "invalid_text", "invalid_text"]
    assert found[0]["error"]["message"].startswith("expected a list of texts without null")
    assert found[2] == {
        "data": [],
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
        "truncated": False,
        "error": None,
    }
    for at in (4, 5):
        wanted = [vector(folder, text) for text in LISTS[at] or []]
        assert [one["index"] for one in found[at]["data"]] == list(range(len(wanted)))
        assert_vectors([one["embedding"] for one in found[at]["data"]], [*wanted])
        tokens = sum(count for _, count in wanted)
        assert found[at]["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
        assert found[at]["truncated"] == (at == 4)


@pytest.mark.parametrize("architecture", ["bert", "modernbert"])
def test_openais_shape_of_a_text(tmp_path: Path, architecture: str) -> None:
    folder = tiny.save(tmp_path / "model", architecture, head="")
    texts = ["the cat", None, "", "ünïcode 😀 שלום", LONG]
    found = rows(folder, pa.array(texts), task="llm/v1/embeddings")
    for row, text in zip(found, texts, strict=True):
        assert (row is None) == (text is None)
        if text is not None:
            wanted, tokens = vector(folder, text)
            [one] = row["data"]
            assert one["index"] == 0
            np.testing.assert_allclose(one["embedding"], wanted, rtol=1e-5, atol=1e-5)
            assert row["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
            assert row["truncated"] == (text == LONG)


@pytest.mark.parametrize(
    ("task", "dtype", "reads"),
    [
        ("list-embeddings", "ARRAY<STRING>", True),
        ("list-embeddings", "STRING", False),
        ("list-embeddings", "ARRAY<INT>", False),
        ("llm/v1/embeddings", "ARRAY<STRING>", True),
        ("llm/v1/embeddings", "STRING", True),
        ("llm/v1/embeddings", "ARRAY<ARRAY<STRING>>", False),
        ("embeddings", "ARRAY<STRING>", False),
    ],
)
def test_columns_that_a_task_reads(task: str, dtype: str, reads: bool) -> None:
    from pyspark.sql.types import ArrayType, IntegerType, StringType, StructType

    from engine.errors import SchemaError
    from engine.options import Request
    from udfs.columns import check_columns

    types = {
        "STRING": StringType(),
        "ARRAY<STRING>": ArrayType(StringType()),
        "ARRAY<INT>": ArrayType(IntegerType()),
        "ARRAY<ARRAY<STRING>>": ArrayType(ArrayType(StringType())),
    }
    role = schema_of(task).inputs[0]
    schema, request = StructType().add("body", types[dtype]), Request(inputs={role.name: "body"})
    if reads:
        check_columns(schema, request, task, schema_of(task))
    else:
        with pytest.raises(SchemaError, match=rf"to be {role.words}, it is {dtype}".replace("<", "[<]")):
            check_columns(schema, request, task, schema_of(task))


def test_a_pandas_column_takes_the_type_of_its_role() -> None:
    import pandas as pd

    from udfs.sql import arrow_column

    lists = pd.Series([np.array(["the", None], object), None, []], dtype=object)
    texts = pd.Series(["the", None, ""], dtype=object)
    [role], [either], [text] = (
        schema_of(task).inputs for task in ("list-embeddings", "llm/v1/embeddings", "embeddings")
    )
    for one in (role, either):
        assert arrow_column(lists, one).equals(pa.array([["the", None], None, []], STRINGS))
        assert arrow_column(pd.Series([None, None], dtype=object), one).equals(pa.array([None, None], STRINGS))
    assert arrow_column(texts, either).equals(pa.array([["the"], None, [""]], STRINGS))
    assert arrow_column(texts, text).equals(pa.array(["the", None, ""], pa.string()))
