"""The spine with a fake task: what is scored, how often, in which batches, and what a bad row costs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching import Index
from engine.errors import ParameterError, RowError
from engine.options import Column, Compute, Request
from engine.schema import schema_of
from engine.scorer import Scored, Scorer
from engine.tasks.base import Encoded
from tests.fakes import FakeTask

OUTPUT = schema_of("text-classification").output


def fake(params: dict[str, Any] | None = None, *, batch_tokens: int = 1000, **compute: Any) -> Scorer:
    request = Request(inputs={"text": "text"}, params=params or {})
    return Scorer(FakeTask(), request, batch_tokens=batch_tokens, compute=Compute(**compute))


def score(scorer: Scorer, texts: Sequence[str | None], *, batch_rows: int = 1000, **columns: Any) -> list[Scored]:
    table = pa.table({"text": pa.array(texts, pa.string()), **columns})
    return list(scorer.score(table.to_batches(max_chunksize=batch_rows)))


def rows(scored: list[Scored]) -> list[Any]:
    return [row for one in scored for row in one.result.to_pylist()]


def expected(text: str | None) -> Any:
    """What the fake makes of a text: itself as the label, its length as the score."""
    if text is None:
        return None
    tokens = max(1, len(text))
    return {"label": text, "score": len(text), "scores": [], "tokens": tokens, "truncated": False, "error": None}


def codes(found: list[Any]) -> list[str | None]:
    return [row["error"]["code"] if row["error"] else None for row in found]


# --- rows in, rows out


@given(
    st.lists(st.none() | st.text("abc", max_size=6), max_size=40),
    st.integers(1, 15),
    st.integers(1, 15),
    st.integers(1, 60),
)
@settings(deadline=None, max_examples=60)
def test_results_do_not_depend_on_how_rows_are_cut(
    texts: list[str | None], window_rows: int, batch_rows: int, batch_tokens: int
) -> None:
    scored = score(fake(batch_tokens=batch_tokens, window_rows=window_rows), texts, batch_rows=batch_rows)
    assert rows(scored) == [expected(text) for text in texts]
    assert [text for one in scored for text in one.batch.column("text").to_pylist()] == texts
    assert all(one.result.type == OUTPUT for one in scored)


@pytest.mark.parametrize(
    "batches", [[], [pa.record_batch({"text": pa.array([], pa.string())})]], ids=["no batch", "an empty batch"]
)
def test_nothing_gives_nothing(batches: list[pa.RecordBatch]) -> None:
    assert list(fake().score(batches)) == []


def test_all_null_rows_touch_no_model() -> None:
    scorer = fake()
    [scored] = score(scorer, [None, None])
    assert scored.result.type == OUTPUT
    assert scored.result.null_count == 2
    assert scorer.task.encoded == scorer.task.batches == []
    assert (scored.stats.rows, scored.stats.nulls, scored.stats.failed) == (2, 2, 0)


@pytest.mark.parametrize(("count", "windows"), [(9, [9]), (10, [10]), (11, [10, 1]), (20, [10, 10])])
def test_windows_end_at_their_rows(count: int, windows: list[int]) -> None:
    texts = [f"{i}" for i in range(count)]
    scored = score(fake(window_rows=10), texts, batch_rows=7)
    assert [len(one.result) for one in scored] == [len(one.batch) for one in scored] == windows
    assert [row["label"] for row in rows(scored)] == texts


# --- micro-batches


def test_the_longest_go_first_within_the_budget() -> None:
    scorer = fake(batch_tokens=300)
    [scored] = score(scorer, ["a" * 100, "b" * 250, "c" * 90, "d" * 99, "e" * 400])
    assert [[text[0] for text in batch] for batch in scorer.task.batches] == [["e"], ["b"], ["a", "d", "c"]]
    assert (scored.stats.batches, scored.stats.tokens, scored.stats.padded_tokens) == (3, 939, 950)


class Costly(FakeTask):
    """Every text costs ten tokens more than it has."""

    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        encoded = super().encode(inputs, params)
        return replace(encoded, cost=encoded.lengths.astype(np.int64) + 10)


def test_the_budget_counts_what_items_cost_and_the_figures_their_tokens() -> None:
    made = Scorer(Costly(), Request(inputs={"text": "text"}), batch_tokens=28)
    [one] = score(made, ["a", "bbbb", "cc", "ddd"])
    assert made.task.batches == [["bbbb", "ddd"], ["cc", "a"]]
    assert (one.stats.tokens, one.stats.padded_tokens) == (10, 12)


def test_a_batch_that_does_not_fit_is_halved() -> None:
    scorer = fake(batch_tokens=100_000)  # the fake has memory for 10,000 characters
    texts = [chr(97 + i) * 4000 for i in range(4)]
    [scored] = score(scorer, texts)
    assert rows([scored]) == [expected(text) for text in texts]
    assert [len(batch) for batch in scorer.task.batches] == [4, 2, 2]
    assert scored.stats.failed == 0


# --- duplicates


def test_equal_rows_are_scored_once_a_window() -> None:
    scorer = fake(window_rows=4)
    texts = ["a", "bb", "a", None, "a", "a", "bb", "ccc"]
    scored = score(scorer, texts)
    assert rows(scored) == [expected(text) for text in texts]
    assert [sorted(one) for one in scorer.task.encoded] == [["a", "bb"], ["a", "bb", "ccc"]]
    assert [one.stats.duplicates for one in scored] == [1, 1]


def test_rows_are_equal_only_with_equal_parameters_and_seed() -> None:
    """The seed of later tasks is such a column: here top_k and max_length stand for both."""
    scorer = fake({"top_k": Column("k"), "max_length": Column("seed")})
    ks, seeds = pa.array([1, 1, 2, 1], pa.int32()), pa.array([7, 7, 7, 8], pa.int32())
    [scored] = score(scorer, ["abc"] * 4, k=ks, seed=seeds)
    assert scored.stats.duplicates == 1
    assert [row["label"] for row in rows([scored])] == ["a", "a", "ab", "a"]
    assert len(scorer.task.encoded) == 3  # one group for each set of parameters


# --- parameters by row


def test_parameters_of_a_column_are_grouped_and_null_means_the_default() -> None:
    scorer = fake({"top_k": Column("k")})
    found = rows(score(scorer, ["aaa", "bbb", "ccc", None, "ddd"], k=pa.array([1, None, 2, 1, 1], pa.int64())))
    assert [row and row["label"] for row in found] == ["a", "bbb", "cc", None, "d"]
    assert sorted(map(sorted, scorer.task.encoded)) == [["aaa", "ddd"], ["bbb"], ["ccc"]]


def test_a_column_that_is_all_null_is_the_default() -> None:
    assert rows(score(fake({"top_k": Column("k")}), ["aaa"], k=pa.nulls(1))) == [expected("aaa")]


def test_a_column_may_bring_its_own_default() -> None:
    column = pa.array([1, None, 3], pa.int32())
    found = rows(score(fake({"top_k": Column("k", default=2)}), ["aaa", "bbb", "ccc"], k=column))
    assert [row["label"] for row in found] == ["a", "bb", "ccc"]
    with pytest.raises(ParameterError, match="expected top_k to be null or at least 1, got 0"):
        fake({"top_k": Column("k", default=0)})


def test_a_bad_parameter_costs_its_row() -> None:
    column = pa.array([1, 0, 2], pa.int32())
    found = rows(score(fake({"top_k": Column("k")}), ["aaa", "bbb", "ccc"], k=column))
    assert codes(found) == [None, "invalid_parameter", None]
    assert [row["label"] for row in found] == ["a", None, "cc"]
    assert found[1]["error"]["message"].startswith("expected a value of column k that text-classification takes")
    assert "top_k: int or null = null" in found[1]["error"]["message"]


def test_a_bad_parameter_is_not_told_by_its_value() -> None:
    secret = pa.array(["words of the row"])
    [row] = rows(score(fake({"function_to_apply": Column("f")}), ["aaa"], f=secret))
    assert row["error"]["code"] == "invalid_parameter"
    assert "words" not in row["error"]["message"]


def test_a_parameter_that_is_not_utf_8_costs_its_row() -> None:
    column = pa.array([b"none", b"caf\xe9", None], pa.binary()).view(pa.string())
    found = rows(score(fake({"function_to_apply": Column("f")}), ["aaa", "bbb", "ccc"], f=column))
    assert codes(found) == [None, "invalid_parameter", None]


def test_a_parameter_that_python_lacks_costs_its_row() -> None:
    column = pa.array([253_402_300_800, None]).cast(pa.timestamp("s"))  # in the year 10000
    found = rows(score(fake({"top_k": Column("k")}), ["aaa", "bbb"], k=column))
    assert codes(found) == ["invalid_parameter", None]


def test_a_bad_fixed_parameter_is_refused_before_any_row() -> None:
    with pytest.raises(ParameterError, match=r"no parameter 'topk'; it takes top_k: int or null = null"):
        fake({"topk": 1})


# --- bad rows


@pytest.mark.parametrize(
    ("marker", "code", "retryable"),
    [
        ("no encode", "encode_failed", False),
        ("no forward", "forward_failed", False),
        ("no decode", "decode_failed", False),
        ("nan", "non_finite", False),
        ("too big", "out_of_memory", True),
    ],
)
def test_a_bad_row_costs_itself(marker: str, code: str, retryable: bool) -> None:
    texts = ["a", f"x {marker} y", "bb", None, "ccc", f"x {marker} y"]
    [scored] = score(fake(), texts)
    found = rows([scored])
    good = [0, 2, 3, 4]
    assert [found[i] for i in good] == [expected(texts[i]) for i in good]
    assert found[1] == found[5]
    assert {name: found[1][name] for name in ("label", "score", "scores", "tokens", "truncated")} == dict.fromkeys(
        ("label", "score", "scores", "tokens", "truncated")
    )
    assert (found[1]["error"]["code"], found[1]["error"]["retryable"]) == (code, retryable)
    assert "x " not in found[1]["error"]["message"]
    assert "quotes the row" not in found[1]["error"]["message"]
    assert (scored.stats.failed, scored.stats.duplicates) == (2, 1)


class Refusing(FakeTask):
    """Two items a text, whose score is the number of the first; some texts it refuses without raising."""

    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        encoded = super().encode(inputs, params)
        refused = [row for row, text in enumerate(encoded.data) if "refused" in text]
        owner, error = np.repeat(encoded.owner, 2), RowError("too_long", "expected a shorter text")
        return Encoded(encoded.rows, encoded.lengths[owner], owner, encoded.data, dict.fromkeys(refused, error))

    def forward(self, encoded: Encoded, items: Index) -> np.ndarray:
        self.batches.append([encoded.data[row] for row in encoded.owner[items]])
        return items.astype(np.float32)

    def decode(self, encoded: Encoded, rows: Index, outputs: np.ndarray, params: Any) -> pa.StructArray:
        return super().decode(encoded, rows, outputs.reshape(-1, 2)[:, 0], params)


def test_rows_that_failed_in_encode_touch_no_model() -> None:
    made = Scorer(Refusing(), Request(inputs={"text": "text"}), batch_tokens=1000)
    [scored] = score(made, ["refused at once", "a", "refused too", "bb"])
    assert made.task.batches == [["bb", "bb", "a", "a"]]
    assert codes(rows([scored])) == ["too_long", None, "too_long", None]
    assert [row["score"] for row in rows([scored])] == [None, 2, None, 6]
    assert (scored.stats.tokens, scored.stats.batches, scored.stats.failed) == (6, 1, 2)
    [none] = score(made, ["refused"])
    assert (len(made.task.batches), none.stats.batches) == (1, 0)


def test_every_row_may_be_bad() -> None:
    found = rows(score(fake(), ["no forward 1", "no encode 2", "no decode 3"]))
    assert codes(found) == ["forward_failed", "encode_failed", "decode_failed"]


@given(st.lists(st.sampled_from([None, "a", "bb", "no encode", "no forward", "no decode", "nan", "too big"])))
@settings(deadline=None, max_examples=60)
def test_any_mixture_keeps_rows_and_order(texts: list[str | None]) -> None:
    alone = {text: rows(score(fake(), [text]))[0] for text in set(texts)}
    assert rows(score(fake(window_rows=5), texts)) == [alone[text] for text in texts]


# --- the thread


def test_an_error_of_the_source_is_raised_after_its_windows() -> None:
    def source() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"text": ["a", "b"]})
        raise OSError("the socket broke")

    scored = fake(window_rows=2).score(source())
    assert [row["label"] for row in next(scored).result.to_pylist()] == ["a", "b"]
    with pytest.raises(OSError, match="the socket broke"):
        next(scored)


def test_a_reader_that_stops_early_leaves_no_thread() -> None:
    scored = fake(window_rows=1).score(pa.record_batch({"text": [str(i)]}) for i in range(10**9))
    next(scored)
    scored.close()
    assert [thread for thread in threading.enumerate() if thread.name == "embercast-encode"] == []


class Meeting(FakeTask):
    """Computes a window only once the next one is encoded."""

    def __init__(self) -> None:
        super().__init__()
        self.next_encoded = threading.Event()

    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        encoded = super().encode(inputs, params)
        if encoded.data == ["second"]:
            self.next_encoded.set()
        return encoded

    def forward(self, encoded: Encoded, items: Index) -> np.ndarray:
        assert self.next_encoded.wait(30)
        return super().forward(encoded, items)


def test_the_next_window_is_encoded_while_this_one_is_computed() -> None:
    request = Request(inputs={"text": "text"})
    made = Scorer(Meeting(), request, batch_tokens=1000, compute=Compute(window_rows=1))
    assert rows(score(made, ["first", "second"])) == [expected("first"), expected("second")]
