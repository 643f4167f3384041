"""Which argument of a call is which, what a call is refused for, and answers that are too large for a column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest

from engine.errors import ParameterError
from engine.options import Column, Compute, Request
from engine.schema import schema_of
from udfs import function
from udfs.function import Function
from udfs.worker import Descriptor

SCHEMA = schema_of("text-classification")


@dataclass(frozen=True)
class Scored:
    result: pa.StructArray


class Answers(Descriptor):
    """Gives windows of three rows; each row's label says what was asked for it."""

    def score(self, batches: Any) -> Iterator[Any]:
        for batch in batches:
            asked = dict(sorted(self.request.params.items()))
            rows = [{"label": f"{row} {dict(self.request.inputs)} {asked}"} for row in batch.to_pylist()]
            for start in range(0, len(rows), 3):
                yield Scored(pa.array(rows[start : start + 3], SCHEMA.output))


def made(*, needed: tuple[str, ...] = (), **params: Any) -> Function:
    request = Request(inputs={}, params={**params, **{name: Column(name) for name in needed}})
    descriptor = Answers("text-classification", request, Compute(), weights=None)  # type: ignore[arg-type]
    parameters = ("top_k", "max_length")
    return Function(descriptor=descriptor, schema=SCHEMA, parameters=parameters, needed=needed, identity="f")


def test_roles_come_in_their_order_and_anything_by_name() -> None:
    one = made()
    assert one.named(["a"], {}) == {"text": "a"}
    assert one.named(["a", "b"], {"top_k": 1}) == {"text": "a", "text_pair": "b", "top_k": 1}
    assert one.named([], {"top_k": 1, "text_pair": "b", "text": "a"}) == {"top_k": 1, "text_pair": "b", "text": "a"}


@pytest.mark.parametrize(
    ("columns", "named", "got"),
    [
        (["a", "b", "c"], {}, "3 columns"),
        ([], {}, "no text"),
        (["a"], {"text": "b"}, "text twice"),
        (["a"], {"bottom_k": 1}, "bottom_k =>"),
        (["a", "b", "c"], {"bottom_k": 1, "text": "b"}, "3 columns, text twice, bottom_k =>"),
    ],
)
def test_other_calls_are_refused(columns: Sequence[str], named: dict[str, Any], got: str) -> None:
    expected = r"expected \(text, \[text_pair\]\), and by name \(name => value\) top_k, max_length, got "
    with pytest.raises(ParameterError, match=f"{expected}{got}$"):
        made().named(columns, named)


def test_a_parameter_that_nobody_gave_is_needed_of_the_call() -> None:
    with pytest.raises(ParameterError, match=r"got no top_k$"):
        made(needed=("top_k",)).named(["a"], {})
    assert made(needed=("top_k",)).named(["a"], {"top_k": 1}) == {"text": "a", "top_k": 1}


def test_parameters_of_a_call_come_over_those_of_all_calls() -> None:
    columns = {"text": pa.array(["a", "b"]), "top_k": pa.array([1, None], pa.int32())}
    [first, _] = made(top_k=3, max_length=8)(columns).field("label").to_pylist()
    asked = {"max_length": 8, "top_k": Column("top_k", default=3)}
    assert first == f"{ {'text': 'a', 'top_k': 1} } { {'text': 'text'} } {asked}"
    [plain] = made(top_k=3)({"text": pa.array(["a"])}).field("label").to_pylist()
    assert plain.endswith("{'top_k': 3}")
    [needed] = made(needed=("top_k",))({"text": pa.array(["a"]), "top_k": pa.array([1])}).field("label").to_pylist()
    assert needed.endswith(f"{ {'top_k': Column('top_k')} }")


def test_windows_are_one_column_again() -> None:
    found = made()({"text": pa.array([str(i) for i in range(8)])})
    assert [label.split("'")[3] for label in found.field("label").to_pylist()] == [str(i) for i in range(8)]
    assert made()({"text": pa.array([], pa.string())}).equals(pa.array([], SCHEMA.output))


def test_answers_too_large_for_a_column_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows are known when this is said: it would otherwise be known after all were computed."""
    monkeypatch.setattr(function, "_MOST", 2000)
    with pytest.raises(ParameterError, match=r"these 400 rows would give .*maxRecordsPerBatch = \d+, or take udfs"):
        made()({"text": pa.array(["text"] * 400)})
