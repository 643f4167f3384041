"""Models of no task in the table: whatever they answer, as the struct that was learned from a sample and pinned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.batching import Index
from engine.errors import RowError
from engine.fitted import fitted
from engine.inferred import plain
from engine.models.manifest import Manifest
from engine.schema import TaskSchema
from engine.tasks.base import Encoded, Task
from engine.tasks.tokens import texts_of

#: Arrow columns by input role, and the parameters → a result for each row.
Predict: TypeAlias = Callable[[Mapping[str, pa.Array], Mapping[str, Any]], Sequence[Any]]


@dataclass(frozen=True, kw_only=True)
class ForeignParams:
    """Parameters of a foreign model: those it takes itself, under its own names.

    Args:
        call: handed to the model with each call, as they were given.
    """

    call: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """What ``forward`` reads: the columns of a window's rows."""

    columns: Mapping[str, pa.Array]
    params: ForeignParams


class Foreign(Task):
    """Runs what it does not know: a transformers pipeline, or a PyFunc's own code.

    Args:
        name: of the pipeline, or ``pyfunc``.
        predict: the model.
        schema: pinned on the driver.
        manifest: of the bundle.
    """

    manifest: Manifest
    Params = ForeignParams
    auto_class = ""
    open_params = True

    def __init__(self, name: str, predict: Predict, schema: TaskSchema, manifest: Manifest) -> None:
        self.name = name  # type: ignore[misc]  # one class for all of them
        self.predict = predict
        self.manifest = manifest
        self._schema = schema

    @property
    def schema(self) -> TaskSchema:
        return self._schema

    def encode(self, inputs: Mapping[str, pa.Array], params: ForeignParams) -> Encoded:
        columns = {role: _typed(inputs[role], self._schema.role(role).type) for role in inputs}
        rows = len(next(iter(columns.values())))
        return Encoded(rows, _lengths(columns, rows), np.arange(rows), Rows(columns, params))

    def forward(self, encoded: Encoded, items: Index) -> list[Any]:
        """Plain Python values, one an item."""
        rows: Rows = encoded.data
        taken = pa.array(items)
        return results(self.predict, {name: column.take(taken) for name, column in rows.columns.items()}, rows.params)

    def decode(self, encoded: Encoded, rows: Index, outputs: Sequence[Any], params: ForeignParams) -> pa.StructArray:
        return fitted(outputs, self._schema)


def results(predict: Predict, columns: Mapping[str, pa.Array], params: ForeignParams) -> list[Any]:
    """Plain Python values, one a row. Raises RowError where the model gave more or fewer results than rows."""
    rows = len(next(iter(columns.values())))
    found = [plain(value) for value in predict(columns, params.call)]
    if len(found) != rows:
        raise RowError("schema_mismatch", "expected one result for each row, the model gave another number of them")
    return found


def _typed(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    if pa.types.is_string(dtype):
        texts_of(column)  # raises where it is no UTF-8
    return column if column.type == dtype else column.cast(dtype)


def _lengths(columns: Mapping[str, pa.Array], rows: int) -> Any:
    """int32 [rows]: a quarter of the texts' bytes, 1 at least: nobody here knows the model's own tokens."""
    total = np.zeros(rows, np.int64)
    for column in columns.values():
        if pa.types.is_string(column.type):
            total += np.asarray(pc.fill_null(pc.binary_length(column), 0)) // 4
    return np.maximum(total, 1).astype(np.int32)
