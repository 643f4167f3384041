"""The adapter for models of no task in the table: rows stay rows, whatever the model does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from engine.errors import UnsupportedTaskError
from engine.inferred import learn
from engine.models.artifact import OWN
from engine.models.manifest import Manifest
from engine.options import Column, Request
from engine.schema import Input
from engine.scorer import Scored, Scorer
from engine.tasks import PYFUNC, is_foreign, task_class
from engine.tasks.foreign import Foreign, ForeignParams
from engine.tasks.params import parse_params, takes
from tests import pipelines

INPUTS = (Input("text", pa.string()), Input("times", pa.int64(), required=False))
SCHEMA = learn(INPUTS, [{"shout": "A", "letters": [{"letter": "a"}]}])
MANIFEST = Manifest(
    task=PYFUNC,
    dtype=OWN,
    parameters=0,
    hidden=0,
    weight_bytes=0,
    tied={},
    max_length=None,
    pooling="mean",
    normalize=False,
    special_tokens=0,
    made_with={},
    files={},
)


class Shouting:
    """Says a text in capitals, and each of its letters; remembers what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, columns: Mapping[str, pa.Array], call: Mapping[str, Any]) -> Sequence[Any]:
        texts = columns["text"].to_pylist()
        self.batches.append(texts)
        if "raises" in texts:
            raise ValueError("a message that quotes the row")
        if "two" in texts:
            texts = [*texts, "one more"]
        return [self._say(text, **call) for text in texts]

    @staticmethod
    def _say(text: str, end: str = "") -> Any:
        if text == "other":
            return {"shout": 5}
        return {"shout": text.upper() + end, "letters": [{"letter": letter} for letter in text]}


def score(predict: Any, rows: pa.Table, **request: Any) -> list[Scored]:
    task = Foreign(PYFUNC, predict, SCHEMA, MANIFEST)
    inputs = {name: name for name in rows.column_names if name in ("text", "times")}
    return list(Scorer(task, Request(inputs=inputs, **request), batch_tokens=64).score(rows.to_batches()))


def structs(scored: list[Scored]) -> list[Any]:
    return [row for one in scored for row in one.result.to_pylist()]


def said(text: str, end: str = "") -> dict[str, Any]:
    return {"shout": text.upper() + end, "letters": [{"letter": letter} for letter in text], "error": None}


def test_every_row_gets_what_the_model_says_of_it() -> None:
    predict = Shouting()
    texts = ["ab", None, "", "ab", "c"]
    scored = score(predict, pa.table({"text": texts}))
    assert {one.result.type for one in scored} == {SCHEMA.output}
    assert structs(scored) == [None if text is None else said(text) for text in texts]
    assert sorted(text for batch in predict.batches for text in batch) == ["", "ab", "c"]


@pytest.mark.parametrize(
    ("bad", "code"), [("raises", "forward_failed"), ("two", "schema_mismatch"), ("other", "schema_mismatch")]
)
def test_a_bad_row_costs_itself(bad: str, code: str) -> None:
    texts = [f"row {i}" for i in range(20)]
    texts[7] = bad
    scored = score(Shouting(), pa.table({"text": texts}))
    found = structs(scored)
    error = found[7].pop("error")
    assert (error["code"], error["retryable"]) == (code, False)
    assert "quotes the row" not in error["message"]
    assert found[7] == {"shout": None, "letters": None}
    assert found[:7] + found[8:] == [said(text) for text in texts[:7] + texts[8:]]
    assert scored[0].stats.failed == 1


def test_text_that_is_no_utf_8_costs_itself() -> None:
    spoilt = pa.array([b"ab", b"\xc3\x28"], pa.binary()).view(pa.string())
    found = structs(score(Shouting(), pa.table({"text": spoilt})))
    assert found[0] == said("ab")
    assert found[1]["error"]["code"] == "invalid_text"


def test_parameters_are_handed_over_as_they_are_fixed_or_by_row() -> None:
    found = structs(score(Shouting(), pa.table({"text": ["a", "b"]}), params={"end": "!"}))
    assert found == [said("a", "!"), said("b", "!")]
    rows = pa.table({"text": ["a", "a", "b"], "end": ["!", "?", None]})
    found = structs(score(Shouting(), rows, params={"end": Column("end")}))
    assert found == [said("a", "!"), said("a", "?"), said("b")]


def test_other_inputs_come_in_the_type_that_the_model_reads() -> None:
    def times(columns: Mapping[str, pa.Array], call: Mapping[str, Any]) -> Sequence[Any]:
        assert columns["times"].type == pa.int64()
        return [{"shout": f"{t} {n}"} for t, n in zip(*(columns[name].to_pylist() for name in columns), strict=True)]

    rows = pa.table({"text": ["a", "b"], "times": pa.array([2, None], pa.int32())})
    assert [row["shout"] for row in structs(score(times, rows))] == ["a 2", "b None"]


def test_which_tasks_are_foreign() -> None:
    with pipelines.registered() as own:
        foreign = (PYFUNC, own)
        others = ("text-classification", "ner", "image-classification", "text-to-speech", "decision")
        assert [is_foreign(name) for name in (*foreign, *others)] == [True] * 2 + [False] * 5
        assert {task_class(name) for name in foreign} == {Foreign}
    assert not is_foreign(own)
    for name in ("image-classification", "document-question-answering", "any-to-any", "decision", "astrology"):
        with pytest.raises(UnsupportedTaskError, match=f"got '{name}'"):
            task_class(name)


def test_any_parameter_is_taken() -> None:
    assert parse_params(PYFUNC, {"a": [1], "b": Column("c")}) == ForeignParams(call={"a": [1]})
    assert takes(PYFUNC) == "whatever the model itself takes"
