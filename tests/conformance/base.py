"""What every task promises, whatever its model. A task's tests subclass ``TaskConformance`` and say what to score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import ParameterError
from engine.options import Column, Compute, Request
from engine.schema import schema_of
from engine.scorer import Scored, Scorer
from tests import scoring, speech


class TaskConformance(ABC):
    """The contract of a task.

    Args:
        task: its name.
        columns: input role → sample values, equally many for each role: of different lengths, some equal, some null.
        params: parameters that differ from the defaults and change the answers.
        half_tolerance: how far a number may move in bfloat16.
        given: parameters that are always given, for a task that needs some.
        nullable: fields that may be null in the struct of a row without an error.
    """

    task: ClassVar[str]
    columns: ClassVar[Mapping[str, Sequence[Any]]]
    params: ClassVar[Mapping[str, Any]]
    half_tolerance: ClassVar[float]
    given: ClassVar[Mapping[str, Any]] = {}
    nullable: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @abstractmethod
    def save(cls, folder: Path) -> None:
        """Saves a tiny model of the task as a Hugging Face folder."""

    @abstractmethod
    def numbers(self, row: dict[str, Any]) -> list[float]:
        """The numbers of a struct, in an order that small differences don't change."""

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp(cls.task.replace("/", "-"))
        cls.save(folder)
        return folder

    @pytest.fixture(scope="class")
    @classmethod
    def expected(cls, folder: Path) -> list[Any]:
        """The answers to the samples, each scored alone."""
        made, whole = cls.scorer(folder), table(cls.task, cls.columns)
        return [row for i in range(whole.num_rows) for row in structs(score(made, whole.slice(i, 1)))]

    @classmethod
    def scorer(cls, folder: Path, *, params: Mapping[str, Any] | None = None, **options: Any) -> Scorer:
        options = {"inputs": tuple(cls.columns), **options}
        return scoring.scorer(folder, task=cls.task, params={**cls.given, **(params or {})}, **options)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The values of the required roles, row by row."""
        required = [self.columns[role.name] for role in schema_of(self.task).inputs if role.required]
        return list(zip(*required, strict=True))

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def table(self) -> pa.Table:
        return table(self.task, self.columns)

    def test_the_samples_hold_what_the_contract_is_about(self) -> None:
        whole = [repr(row) for row in self.rows if None not in row]
        assert len(whole) < self.count
        assert len(set(whole)) < len(whole)

    def test_rows_come_back_as_they_came_each_with_its_struct(self, folder: Path) -> None:
        scored = score(self.scorer(folder, window_rows=5), self.table, batch_rows=3)
        assert pa.Table.from_batches([one.batch for one in scored]).equals(self.table)
        assert {one.result.type for one in scored} == {schema_of(self.task).output}
        assert [len(one.result) for one in scored] == [one.batch.num_rows for one in scored]

    def test_null_gives_null_and_all_else_a_whole_struct(self, folder: Path) -> None:
        for values, row in zip(self.rows, structs(score(self.scorer(folder), self.table)), strict=True):
            assert (row is None) == (None in values)
            nulls = {name for name, field in row.items() if field is None} if row else {"error"}
            assert nulls - {*self.nullable} == {"error"}

    @pytest.mark.parametrize(
        ("batch_rows", "window_rows", "batch_tokens"),
        [(1, 1, 1), (1, 1000, 64), (2, 2, 64), (7, 5, 1), (1000, 3, 200), (4, 8, 10**6), (1000, 1000, 10**6)],
    )
    def test_answers_do_not_depend_on_how_rows_are_cut(
        self, folder: Path, expected: list[Any], batch_rows: int, window_rows: int, batch_tokens: int
    ) -> None:
        made = self.scorer(folder, window_rows=window_rows, batch_tokens=batch_tokens)
        assert_same(structs(score(made, self.table, batch_rows=batch_rows)), expected)

    def test_answers_do_not_depend_on_order_or_company(self, folder: Path, expected: list[Any]) -> None:
        order = np.random.default_rng(3).integers(0, self.count, 3 * self.count)  # many rows several times
        found = structs(score(self.scorer(folder, window_rows=20), self.table.take(pa.array(order))))
        assert_same(found, [expected[i] for i in order])

    def test_equal_rows_are_scored_once(self, folder: Path) -> None:
        once = score(self.scorer(folder), self.table)
        twice = score(self.scorer(folder), pa.concat_tables([self.table, self.table]))
        assert sum(one.stats.tokens for one in twice) == sum(one.stats.tokens for one in once) > 0

    def test_an_optional_input_may_be_null_or_left_out(self, folder: Path) -> None:
        optional = [role.name for role in schema_of(self.task).inputs if not role.required]
        required = {name: values for name, values in self.columns.items() if name not in optional}
        made = self.scorer(folder, inputs=tuple(required))
        nulls = {**required, **{name: [None] * self.count for name in optional}}
        without = structs(score(made, table(self.task, required)))
        assert_same(structs(score(self.scorer(folder), table(self.task, nulls))), without)

    def test_text_that_is_not_utf_8_costs_only_itself(self, folder: Path, expected: list[Any]) -> None:
        for role in self.columns:
            if not _holds_text(schema_of(self.task).role(role).type):
                continue
            at = next(i for i, values in enumerate(self.rows) if None not in values)
            found = structs(score(self.scorer(folder), spoilt(self.table, role, [at])))
            assert_same(found[:at] + found[at + 1 :], expected[:at] + expected[at + 1 :])
            assert found[at]["error"]["code"] == "invalid_text"
            assert [name for name, field in found[at].items() if field is not None] == ["error"]

    def test_rows_may_all_be_bad(self, folder: Path) -> None:
        role = next(name for name in self.columns if _holds_text(schema_of(self.task).role(name).type))
        found = structs(score(self.scorer(folder), spoilt(self.table, role, range(self.count))))
        errors = [row and row["error"]["code"] for row in found]
        others = [name for name in self.columns if name != role and schema_of(self.task).role(name).required]
        nulls = [any(self.columns[name][i] is None for name in others) for i in range(self.count)]
        assert errors == [None if null else "invalid_text" for null in nulls]

    @pytest.mark.parametrize("batches", [0, 1, 2])
    def test_no_rows_give_no_window(self, folder: Path, batches: int) -> None:
        empty = pa.RecordBatch.from_pylist([], schema=self.table.schema)
        assert list(self.scorer(folder).score([empty] * batches)) == []

    def test_an_unknown_parameter_is_refused_before_any_row(self, folder: Path) -> None:
        with pytest.raises(ParameterError, match=f"{self.task} has no parameter 'no_such'; it takes "):
            self.scorer(folder, params={"no_such": 1})

    def test_a_parameter_means_the_same_from_a_column(self, folder: Path, expected: list[Any]) -> None:
        fixed = structs(score(self.scorer(folder, params=self.params), self.table))
        assert fixed != expected
        everywhere = {name: pa.array([value] * self.count) for name, value in self.params.items()}
        nowhere = {name: pa.nulls(self.count, column.type) for name, column in everywhere.items()}
        for columns, want in ((everywhere, fixed), (nowhere, expected)):
            rows = self.table
            for name, column in columns.items():
                rows = rows.append_column(f"the {name}", column)
            by_row = Request(
                inputs={name: name for name in self.columns},
                params={**self.given, **{name: Column(f"the {name}") for name in columns}},
            )
            made = Scorer(self.scorer(folder).task, by_row, batch_tokens=256, compute=Compute())
            assert_same(structs(score(made, rows)), want)

    def test_bfloat16_stays_near_float32(self, folder: Path, expected: list[Any]) -> None:
        found = structs(score(self.scorer(folder, dtype="bfloat16"), self.table))
        pairs = [(self.numbers(a), self.numbers(b)) for a, b in zip(found, expected, strict=True) if a and b]
        halves, wholes = (np.concatenate(side) for side in zip(*pairs, strict=True))
        assert 0 < np.abs(halves - wholes).max() <= self.half_tolerance


def table(task: str, columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """The columns in the types that the task's schema gives their roles."""
    return pa.table({name: pa.array(values, schema_of(task).role(name).type) for name, values in columns.items()})


def spoilt(rows: pa.Table, column: str, at: Iterable[int]) -> pa.Table:
    """The rows with bytes that are not UTF-8 in these places: Spark's ``cast(binary AS string)`` lets them through."""
    at, whole = [*at], rows[column].combine_chunks()
    broken = pa.array([b"caf\xe9%d" % place for place in at], pa.binary()).view(pa.string())
    if pa.types.is_list(whole.type):
        broken = pa.ListArray.from_arrays(pa.array(range(len(at) + 1), pa.int32()), broken, type=whole.type)
    places = np.arange(len(whole))
    places[at] = len(whole) + np.arange(len(at))
    return rows.set_column(rows.column_names.index(column), column, pa.concat_arrays([whole, broken]).take(places))


def _holds_text(dtype: pa.DataType) -> bool:
    return pa.types.is_string(dtype.value_type if pa.types.is_list(dtype) else dtype)


def score(made: Scorer, rows: pa.Table, *, batch_rows: int = 1000) -> list[Scored]:
    return list(made.score(rows.to_batches(max_chunksize=batch_rows)))


def structs(scored: list[Scored]) -> list[Any]:
    return [row for one in scored for row in one.result.to_pylist()]


#: What stood in memory already depends on the company, and should.
_OF_THE_COMPANY: Final = frozenset({"cached_tokens"})


def assert_same(found: Any, expected: Any, *, path: str = "rows", but: Set[str] = _OF_THE_COMPANY) -> None:
    """Equal, numbers within 1e-5: sums of float32 differ with the order that a batch's shape gives them.

    Args:
        path: where both stand, for messages.
        but: fields whose values may differ.
    """
    if isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-5), path
    elif isinstance(expected, dict):
        assert found is not None, path
        assert found.keys() == expected.keys(), path
        for name in expected.keys() - but:
            assert_same(found[name], expected[name], path=f"{path}.{name}", but=but)
    elif isinstance(expected, bytes):
        assert found is not None, path
        assert_same_sound(found, expected, path)
    elif isinstance(expected, list):
        assert found is not None, path
        assert len(found) == len(expected), path
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert_same(a, b, path=f"{path}[{i}]", but=but)
    else:
        assert found == expected, path


def assert_same_sound(found: bytes, expected: bytes, path: str) -> None:
    """Equal samples within 1e-4: sixteen bits round them to steps of 3e-5, up or down."""
    assert found[:44] == expected[:44], path  # the header: rate, encoding and length
    np.testing.assert_allclose(speech.samples(found), speech.samples(expected), atol=1e-4, err_msg=path)
