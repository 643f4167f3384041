"""Results that fit the pinned struct, and those that Arrow alone would have bent until they fit."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from engine.errors import RowError
from engine.fitted import fitted
from engine.inferred import learn
from engine.schema import Input, TaskSchema

INPUTS = (Input("text", pa.string()),)
SAMPLE = {"label": "a", "score": 0.5, "n": 1, "ok": True, "raw": b"x", "spans": [{"at": 1, "words": ["x"]}]}
PINNED = learn(INPUTS, [SAMPLE])


def test_ragged_results_fit_and_what_they_lack_is_null() -> None:
    found = fitted([SAMPLE, {"spans": []}, {"score": 2, "n": 3.0, "spans": [{}, {"words": None}]}, {}], PINNED)
    nothing = dict.fromkeys(SAMPLE)
    assert found.type == pa.struct(list(PINNED.fields))
    assert found.to_pylist() == [
        SAMPLE,
        {**nothing, "spans": []},
        {**nothing, "score": 2.0, "n": 3, "spans": [{"at": None, "words": None}] * 2},
        nothing,
    ]


def test_bare_results_are_the_field_result() -> None:
    assert fitted(["a", None], learn(INPUTS, ["x"])).to_pylist() == [{"result": "a"}, {"result": None}]
    whole = learn(INPUTS, [{"error": "e", "x": 1}])
    assert fitted([{"error": None, "x": 2}], whole).to_pylist() == [{"result": {"error": None, "x": 2}}]
    named = learn(INPUTS, [{"result": 5}])
    assert fitted([{"result": 6}], named).to_pylist() == [{"result": 6}]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"label": 5}, "expected label to be STRING"),
        ({"label": b"x"}, "expected label to be STRING"),
        ({"n": 2.5}, "expected n to be BIGINT"),
        ({"n": True}, "expected n to be BIGINT"),
        ({"score": True}, "expected score to be DOUBLE"),
        ({"score": "secret"}, "expected score to be DOUBLE"),
        ({"ok": 1}, "expected ok to be BOOLEAN"),
        ({"spans": "secret"}, "expected spans to be ARRAY"),
        ({"spans": [{"words": "secret"}]}, r"expected spans\[\]\.words to be ARRAY"),
        ({"spans": [{"words": ["x", 1]}]}, r"expected spans\[\]\.words\[\] to be STRING"),
        ({"spans": ["secret"]}, r"expected spans\[\] to be STRUCT"),
        ({"spans": [{"secret": 1}]}, r"expected spans\[\] to be STRUCT of at, words, got a field more"),
        ({"label": "a", "secret": 1}, "expected the result to be STRUCT of label, score, n, ok, raw, spans, got a fie"),
        ("secret", "expected the result to be STRUCT, got another type"),
        ({"score": 2**60 + 1}, "expected values that STRUCT holds exactly"),
        ({"n": 2**70}, "expected values that STRUCT holds exactly"),
        ({"label": "half \ud800"}, "expected values that STRUCT holds exactly"),
    ],
)
def test_what_does_not_fit_is_an_error_of_its_row(value: Any, message: str) -> None:
    with pytest.raises(RowError, match=f"schema_mismatch: {message}") as caught:
        fitted([value], PINNED)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("pinned", [learn(INPUTS, [{"a": [{"b": 0.5}]}])])
def test_numbers_that_are_none_are_an_error(number: float, pinned: TaskSchema) -> None:
    with pytest.raises(RowError, match="non_finite"):
        fitted([{"a": [{"b": 1.0}, {"b": number}]}], pinned)
    assert fitted([{"a": [{"b": None}]}], pinned).to_pylist() == [{"a": [{"b": None}]}]
