"""Equal rows, of any type: each against a hand-worked example."""

from __future__ import annotations

import pyarrow as pa
import pytest

from engine.distinct import combined_codes, distinct, row_digests


def test_equal_rows_are_scored_once_and_null_rows_never() -> None:
    texts = ["b", None, "a", "b", None, "a", "c"]
    found = distinct(pa.record_batch({"text": texts}), ["text"], required=["text"])
    assert sorted(texts[i] for i in found.first) == ["a", "b", "c"]
    assert [None if i < 0 else texts[found.first[i]] for i in found.inverse] == texts


def test_rows_are_equal_only_with_all_columns() -> None:
    window = pa.record_batch({"text": ["a", "a", "a", "a", None], "k": pa.array([1, 2, 1, None, 1], pa.int32())})
    found = distinct(window, ["text", "k"], required=["text"])
    assert found.first.size == 3  # (a, 1), (a, 2), (a, null)
    assert found.inverse[0] == found.inverse[2]
    assert len({int(i) for i in found.inverse[[0, 1, 3]]}) == 3
    assert found.inverse[4] == -1


def test_nested_columns_are_told_apart_too() -> None:
    window = pa.record_batch({"labels": pa.array([["a", "b"], ["a"], ["a", "b"], None], pa.list_(pa.string()))})
    codes = combined_codes(window, ["labels"])
    assert codes[0] == codes[2]
    assert len(set(codes.tolist())) == 3


def test_lists_with_bytes_that_are_no_text_are_told_apart_too() -> None:
    """As a careless writer makes them: they have no value in Python."""
    values = [b"\xff", b"a", b"\xff", b"\xfe"]
    strings = pa.array(values, pa.binary()).view(pa.string())
    lists = pa.ListArray.from_arrays(pa.array(range(5), pa.int32()), strings)
    structs = pa.ListArray.from_arrays(lists.offsets, pa.StructArray.from_arrays([strings], names=["x"]))
    for column in (lists, structs):
        found = distinct(pa.record_batch({"column": column}), ["column"], required=["column"])
        assert found.inverse[0] == found.inverse[2]
        assert len(set(found.inverse.tolist())) == 3


NOT_UTF_8 = pa.array([b"caf\xe9", b"caf\xe9", b"cafe"], pa.binary()).view(pa.string())


@pytest.mark.parametrize(
    "column",
    [
        pa.ListArray.from_arrays([0, 1, 2, 3], pa.MapArray.from_arrays([0, 1, 2, 3], NOT_UTF_8, NOT_UTF_8)),
        pa.ListArray.from_arrays(
            [0, 1, 2, 3], NOT_UTF_8.cast(pa.binary()).cast(pa.large_binary()).view(pa.large_string())
        ),
        pa.LargeListArray.from_arrays([0, 1, 2, 3], NOT_UTF_8),
    ],
    ids=["maps", "large strings", "large lists"],
)
def test_nested_strings_that_are_not_utf_8_are_compared_by_their_bytes(column: pa.Array) -> None:
    assert combined_codes(pa.record_batch({"k": column}), ["k"]).tolist() == [0, 0, 1]


def test_a_nested_value_that_python_lacks_is_equal_to_none() -> None:
    year_10000 = 253_402_300_800
    seconds = [[{"when": when}] for when in (0, year_10000, 0, year_10000, 1)]
    type_ = pa.list_(pa.struct([("when", pa.timestamp("s"))]))
    column = pa.array(seconds, pa.list_(pa.struct([("when", pa.int64())]))).cast(type_)
    assert combined_codes(pa.record_batch({"k": column}), ["k"]).tolist() == [0, 1, 0, 2, 3]


@pytest.mark.parametrize("dtype", [pa.null(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_all_null_columns_of_any_type_have_one_code(dtype: pa.DataType) -> None:
    window = pa.record_batch({"text": ["a", "b"], "k": pa.nulls(2, dtype)})
    assert combined_codes(window, ["k"]).tolist() == [0, 0]


def test_dictionary_columns_are_compared_by_value() -> None:
    codes = pa.array([0, 1, 2, None, 3], pa.int32())
    texts = pa.DictionaryArray.from_arrays(codes, pa.array(["a", "b", "a", None]))
    found = distinct(pa.record_batch({"text": texts}), ["text"], required=["text"])
    assert found.inverse.tolist() == [0, 1, 0, -1, -1]


@pytest.mark.parametrize("of", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.int16())])
def test_lists_of_numbers_are_compared_by_their_bytes(of: pa.DataType) -> None:
    rows = [[9], [1, 2], [], None, [1, 2], [1, None], [None, 1], [], None, [2, 1], [1, None], [1, 0]]
    column = pa.array(rows, of)[1:]
    codes = combined_codes(pa.record_batch({"k": column}), ["k"])
    assert codes.tolist() == [0, 1, 2, 0, 3, 4, 1, 2, 5, 3, 6]


def test_nulls_are_not_taken_for_bytes() -> None:
    column = pa.array([[None], [1, 0], [1], [0, 1]], pa.list_(pa.uint8()))
    assert combined_codes(pa.record_batch({"k": column}), ["k"]).tolist() == [0, 1, 2, 3]


@pytest.mark.timeout(20)
def test_a_minute_of_samples_is_told_apart_at_once() -> None:
    """A window of recordings: by way of Python's floats it would take a minute."""
    import numpy as np

    values = np.random.default_rng(0).standard_normal((16, 480_000)).astype(np.float32)
    rows = np.concatenate([values, values])
    offsets = np.arange(0, rows.size + 1, 480_000, dtype=np.int32)
    for column in (
        pa.ListArray.from_arrays(offsets, rows.reshape(-1)),
        pa.array([row.tobytes() for row in rows], pa.binary()),
    ):
        assert combined_codes(pa.record_batch({"audio": column}), ["audio"]).tolist() == [*range(16)] * 2


def test_digests_are_equal_where_rows_are_whatever_their_batch() -> None:
    texts, numbers = ["b", None, "a", "b", "", "b"], pa.array([1, 1, 1, 1, 1, 2], pa.int32())
    digests = row_digests(pa.record_batch({"text": texts, "k": numbers})).to_pylist()
    assert digests[0] == digests[3]
    assert len(set(digests)) == 5
    assert row_digests(pa.record_batch({"text": ["b"], "k": pa.array([1], pa.int32())})).to_pylist() == digests[:1]
    for other in (
        {"text": ["b"], "k": pa.array([1], pa.int64())},
        {"word": ["b"], "k": pa.array([1], pa.int32())},
        {"text": [b"b"], "k": pa.array([1], pa.int32())},
    ):
        assert row_digests(pa.record_batch(other)).to_pylist() != digests[:1]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[0.5, 1.0], None, [0.5, 1.0], [0.5]], pa.list_(pa.float32())),
        pa.array([[{"role": "user", "content": "a"}], None, [{"role": "user", "content": "a"}], []]),
        pa.array([b"caf\xe9", None, b"caf\xe9", b"cafe"], pa.binary()).view(pa.string()),
    ],
    ids=["samples", "messages", "not utf-8"],
)
def test_digests_of_every_kind_of_column(column: pa.Array) -> None:
    digests = row_digests(pa.record_batch({"column": column})).to_pylist()
    assert digests[0] == digests[2]
    assert len(set(digests)) == 3
    assert row_digests(pa.record_batch({"column": column[2:]})).to_pylist() == digests[2:]


def test_rows_without_a_value_in_python_have_digests_that_equal_none() -> None:
    nulls = row_digests(pa.record_batch({"column": pa.nulls(2)})).to_pylist()
    assert nulls[0] == nulls[1]
    far = pa.array([[2**62], [2**62]], pa.list_(pa.timestamp("s")))  # no datetime goes so far
    first, second = row_digests(pa.record_batch({"column": far})).to_pylist()
    assert first != second
