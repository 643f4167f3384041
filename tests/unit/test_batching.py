"""Windows, micro-batches and isolation: each against a hand-worked example or brute force."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching import Outputs, is_out_of_memory, isolate, micro_batches, windows
from engine.errors import RowError
from tests.faults import fault


def batch(*texts: str | None) -> pa.RecordBatch:
    return pa.record_batch({"text": pa.array(texts, pa.string())})


def flat(parts: list[list[Any]]) -> list[Any]:
    return list(chain.from_iterable(parts))


def column(batches: list[pa.RecordBatch]) -> list[list[Any]]:
    return [one.column("text").to_pylist() for one in batches]


# --- windows


def test_windows_recut_batches_in_order() -> None:
    batches = [batch("a", "b", "c"), batch("d"), batch(), batch("e", "f")]
    assert column(list(windows(batches, rows=2, nbytes=10**6))) == [["a", "b"], ["c", "d"], ["e", "f"]]


def test_windows_end_where_their_bytes_are_full() -> None:
    rows = [batch("x" * 100) for _ in range(10)]  # each 100 bytes and 8 of offsets: two fit 250 bytes
    assert [len(one) for one in windows(rows, rows=100, nbytes=250)] == [2, 2, 2, 2, 2]


def test_a_row_larger_than_the_window_stands_alone() -> None:
    assert [len(one) for one in windows([batch("x" * 1000, "y" * 1000)], rows=100, nbytes=10)] == [1, 1]


@fault(
    "rows are so large that a column of them would pass Arrow's 2 GiB",
    of="rows",
    seen="nothing: a large row opens a window of its own",
    left="nothing",
)
def test_a_large_row_is_not_put_behind_small_ones() -> None:
    rows = [batch("x" * 100), batch("y" * 1000), batch("z" * 100)]
    assert [one.num_rows for one in windows(rows, rows=100, nbytes=500)] == [1, 1, 1]
    assert [one.num_rows for one in windows([rows[0], rows[2], rows[1]], rows=100, nbytes=500)] == [2, 1]


def test_a_window_exceeds_its_bytes_by_one_input_batch_at_most() -> None:
    """A batch's rows are judged by their mean, so that long ones among short ones are underrated."""
    sizes = ([1, 500], [900, 1, 1], [1], [300] * 4)
    batches = [batch(*("x" * size for size in part)) for part in sizes]
    largest = max(one.nbytes for one in batches)
    assert all(one.nbytes <= 600 + largest for one in windows(batches, rows=100, nbytes=600))


@pytest.mark.parametrize("batches", [[], [batch()], [batch(), batch()]])
def test_nothing_makes_no_window(batches: list[pa.RecordBatch]) -> None:
    assert list(windows(batches, rows=2, nbytes=10)) == []


@settings(deadline=None)
@given(st.lists(st.lists(st.text("ab", max_size=5), max_size=7), max_size=6), st.integers(1, 9), st.integers(1, 200))
def test_windows_keep_every_row(parts: list[list[str]], rows: int, nbytes: int) -> None:
    cut = list(windows([batch(*part) for part in parts], rows=rows, nbytes=nbytes))
    assert flat(column(cut)) == flat(parts)
    assert all(1 <= len(one) <= rows for one in cut)


# --- micro-batches


def cost(batches: list[list[int]], overhead: int) -> int:
    """Padded tokens, and the overhead of each batch."""
    return sum(max(one) * len(one) + overhead for one in batches)


def best_cost(lengths: list[int], budget: int, overhead: int) -> float:
    """The least cost of cutting the falling lengths anywhere, by trying every first batch."""

    @lru_cache
    def rest(start: int) -> float:
        if start == len(falling):
            return 0
        options = []
        for end in range(start + 1, len(falling) + 1):
            if end - start > 1 and falling[start] * (end - start) > budget:
                break
            options.append(cost([list(falling[start:end])], overhead) + rest(end))
        return min(options)

    falling = tuple(sorted(lengths, reverse=True))
    return rest(0)


lengths_of = st.lists(st.integers(1, 40), min_size=1, max_size=12)


@given(lengths_of, st.integers(1, 120), st.integers(0, 60))
@settings(deadline=None, max_examples=200)
def test_micro_batches_hold_every_item_once_within_the_budget(lengths: list[int], budget: int, overhead: int) -> None:
    made = [one.tolist() for one in micro_batches(np.array(lengths), budget, overhead=overhead)]
    assert sorted(flat(made)) == list(range(len(lengths)))
    for items in made:
        assert len(items) == 1 or max(lengths[i] for i in items) * len(items) <= budget
    falling = [lengths[i] for items in made for i in items]
    assert falling == sorted(falling, reverse=True)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12, unique=True), st.integers(1, 120), st.integers(0, 60))
@settings(deadline=None, max_examples=200)
def test_micro_batches_of_distinct_lengths_cost_the_least(lengths: list[int], budget: int, overhead: int) -> None:
    made = [[lengths[i] for i in one] for one in micro_batches(np.array(lengths), budget, overhead=overhead)]
    assert cost(made, overhead) <= best_cost(lengths, budget, overhead)


@given(st.lists(st.integers(1, 6), max_size=24), st.integers(1, 60), st.integers(0, 50))
@settings(deadline=None, max_examples=200)
def test_micro_batches_of_equal_lengths_cost_no_more_than_any_cut_between_lengths(
    lengths: list[int], budget: int, overhead: int
) -> None:
    sizes = sorted(set(lengths), reverse=True)

    @lru_cache
    def best(start: int) -> int:
        ends = range(start + 1, len(sizes) + 1)
        return min((padded(sizes[start:end]) + best(end) for end in ends), default=0)

    def padded(some: list[int]) -> int:
        items = sum(lengths.count(size) for size in some)
        return items * some[0] + overhead * -(-items // max(1, budget // some[0]))

    made = [[lengths[i] for i in one] for one in micro_batches(np.array(lengths, int), budget, overhead=overhead)]
    assert cost(made, overhead) <= best(0)


def test_a_hand_worked_cut() -> None:
    """Lengths 100, 10 and 9: together they pad to 300 tokens, cut after the long one to 120 and one overhead more."""
    lengths = np.array([9, 100, 10])
    assert [one.tolist() for one in micro_batches(lengths, 1000, overhead=50)] == [[1], [2, 0]]
    assert [one.tolist() for one in micro_batches(lengths, 1000, overhead=500)] == [[1, 2, 0]]
    assert [one.tolist() for one in micro_batches(lengths, 10, overhead=500)] == [[1], [2], [0]]


def test_no_items_make_no_micro_batch() -> None:
    assert list(micro_batches(np.array([], np.int32), 100)) == []


# --- outputs


def test_outputs_come_back_in_the_items_order() -> None:
    outputs = Outputs(4)
    outputs.put(np.array([3, 0]), np.array([[3.0], [0.0]], np.float32))
    outputs.put(np.array([1, 2]), np.array([[1.0], [2.0]], np.float32))
    assert outputs.take(np.array([2, 0, 3])).tolist() == [[2.0], [0.0], [3.0]]
    ragged = Outputs(3)
    ragged.put(np.array([2, 0]), ["two", "zero"])
    assert ragged.take(np.array([0, 2])) == ["zero", "two"]
    assert Outputs(2).take(np.array([], np.int64)) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["vector", "matrix", "ragged"])
def test_values_that_are_not_finite_are_failures_of_their_items(bad: float, kind: str) -> None:
    values: Any = {
        "vector": np.array([1.0, bad], np.float32),
        "matrix": np.array([[1.0, 2.0], [1.0, bad]], np.float32),
        "ragged": [np.array([1.0]), np.array([2.0, bad, 3.0])],
    }[kind]
    outputs = Outputs(8)
    outputs.put(np.array([5, 7]), values)
    assert {item: error.code for item, error in outputs.failures.items()} == {7: "non_finite"}


def test_whole_numbers_and_texts_are_finite() -> None:
    outputs = Outputs(2)
    outputs.put(np.array([0, 1]), np.array([1, 2]))
    assert outputs.failures == {}
    others = Outputs(2)
    others.put(np.array([0, 1]), ["a", [1]])
    assert others.failures == {}


# --- isolation


def run_of(fails: set[int], error: Exception, calls: list[list[int]]) -> Any:
    def run(part: np.ndarray) -> list[int]:
        calls.append(part.tolist())
        if fails & set(part.tolist()):
            raise error
        return list(part.tolist())

    return run


def test_a_failing_row_is_found_by_halving() -> None:
    calls: list[list[int]] = []
    done, failures = isolate(run_of({5}, ValueError("quotes the row"), calls), np.arange(8), code="forward_failed")
    assert [values for _, values in done] == [[0, 1, 2, 3], [4], [6, 7]]
    assert all(part.tolist() == values for part, values in done)
    assert calls == [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [4], [5], [6, 7]]
    assert (failures[5].code, failures[5].message) == ("forward_failed", "ValueError was raised on this row alone")


def test_a_row_error_is_kept_as_it_is() -> None:
    error = RowError("invalid_text", "expected UTF-8")
    assert isolate(run_of({0, 1}, error, []), np.arange(2), code="encode_failed") == ([], {0: error, 1: error})


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


class AcceleratorError(RuntimeError):
    """As torch names what leaves a CUDA context broken."""


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
)
def test_out_of_memory_is_halved_until_it_fits(error: Exception) -> None:
    calls: list[int] = []

    def run(part: np.ndarray) -> int:
        calls.append(part.size)
        if part.size > 2:
            raise error
        return int(part.size)

    done, failures = isolate(run, np.arange(8), code="forward_failed")
    assert calls == [8, 4, 2, 2, 4, 2, 2]
    assert sorted(i for part, _ in done for i in part) == list(range(8))
    assert failures == {}


def test_a_row_that_alone_needs_too_much_memory_may_be_tried_again() -> None:
    _, failures = isolate(run_of({1}, MemoryError(), []), np.arange(3), code="forward_failed")
    assert [(i, e.code, e.retryable) for i, e in failures.items()] == [(1, "out_of_memory", True)]


@pytest.mark.parametrize(
    "error", [AcceleratorError("device-side assert"), RuntimeError("CUDA error: an illegal memory access")]
)
def test_an_error_that_breaks_the_device_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        isolate(run_of({1}, error, []), np.arange(4), code="forward_failed")


def test_what_is_no_exception_is_raised() -> None:
    def run(part: np.ndarray) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        isolate(run, np.arange(4), code="forward_failed")


def test_no_rows_run_nothing() -> None:
    assert isolate(run_of(set(), ValueError(), []), np.arange(0), code="forward_failed") == ([], {})


def test_memory_errors_are_told_from_others() -> None:
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_batches_of_nulls_take_the_type_of_the_others() -> None:
    nulls, texts = pa.record_batch({"a": pa.nulls(2)}), pa.record_batch({"a": ["x", None]})
    for batches in ([nulls, texts], [texts, nulls, nulls], [nulls]):
        [whole] = windows(batches, rows=100, nbytes=1 << 20)
        assert whole.column("a").to_pylist() == [value for one in batches for value in one.column("a").to_pylist()]
