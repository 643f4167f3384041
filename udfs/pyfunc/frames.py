"""pandas, which is what MLflow hands over and takes back, and Arrow, which is what the engine reads.

Stock ``spark_udf`` converts results again: nothing null may be a struct, nor a list of lists or structs, and a null
among texts, numbers or truth values is kept only by a column that no ``astype`` of its makes numpy's. What can be made
column by column is: a row costs Python nothing but its structs and lists. Runs on the executor.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import SchemaError
from engine.schema import TaskSchema
from udfs.sql import arrow_column

#: Kinds of numpy's types whose values may stand beside nulls in Arrow: truth values, whole numbers, floats, texts.
_KINDS: Final = "biufU"
#: What Arrow and Python's encoder raise for a cell; their messages quote it.
UNFIT: Final = (pa.ArrowException, TypeError, UnicodeError)


class Nullable(pd.arrays.ArrowExtensionArray):
    """A column whose nulls stay nulls in every type: MLflow's ``astype`` would make "None", False and 0 of them."""

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """The values in numpy's ``dtype``, still beside their nulls; pandas' own answer for any other type."""
        if isinstance(dtype, np.dtype) and dtype.kind in _KINDS:
            of = pa.string() if dtype.kind == "U" else pa.from_numpy_dtype(dtype)
            return Nullable(self.__arrow_array__().cast(of, safe=False))
        return super().astype(dtype, copy=copy)


def inputs_of(frame: pd.DataFrame, schema: TaskSchema) -> dict[str, pa.Array]:
    """The columns of the task's roles that the frame has, in the types of ``schema``."""
    roles = [role for role in schema.inputs if role.name in frame.columns]
    return {role.name: _whole(arrow_column(frame[role.name], role)) for role in roles}


def params_of(frame: pd.DataFrame, names: tuple[str, ...]) -> dict[str, pa.Array]:
    """The columns of parameters with a value in them. Whole numbers that pandas made floats of are whole again.

    Raises SchemaError for a column whose values have several types.
    """
    given = [name for name in names if name in frame.columns and frame[name].notna().any()]
    return {name: _param(name, frame[name]) for name in given}


def frame_of(result: pa.StructArray) -> pd.DataFrame:
    """One column for each field of the struct, as stock ``spark_udf`` can convert it: a null row has nulls."""
    fields = zip(result.type.names, result.flatten(), strict=True)
    return pd.DataFrame({name: _series(column) for name, column in fields})


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Arrow makes chunks of a column of NaN."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _param(name: str, column: pd.Series) -> pa.Array:
    try:
        values = pa.array(column, from_pandas=True)
    except UNFIT:
        raise SchemaError(f"expected values of one type in column {name}, got several: convert them") from None
    if not pa.types.is_floating(values.type):
        return values
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:  # real numbers
        return values


def _series(column: pa.Array) -> pd.Series:
    if pa.types.is_nested(column.type):
        return pd.Series(_values(column), dtype=object)
    return pd.Series(Nullable(pa.chunked_array([column])))


def _values(column: pa.Array) -> list[Any]:
    """A value a row: a null struct is one of nulls, a null list of lists or structs an empty one."""
    if column.null_count == len(column) and not pa.types.is_nested(column.type):
        return [None] * len(column)
    if pa.types.is_struct(column.type):
        fields = [_values(one) for one in column.flatten()]
        return [dict(zip(column.type.names, row, strict=True)) for row in zip(*fields, strict=True)]
    if pa.types.is_list(column.type):
        return _lists(column)
    values: list[Any] = column.to_pylist() if column.null_count else column.to_numpy(zero_copy_only=False).tolist()
    return values


def _lists(column: pa.ListArray) -> list[Any]:
    """Of numbers, each list is a view of one array, as pandas has it from Arrow itself."""
    flat, of = column.flatten(), column.type.value_type
    numbers = pa.types.is_integer(of) or pa.types.is_floating(of)
    values = flat.to_numpy() if numbers and not flat.null_count else _values(flat)
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    lists = [values[start:end] for start, end in pairwise([0, *np.cumsum(lengths).tolist()])]
    if not column.null_count or pa.types.is_nested(of):
        return lists
    known = column.is_valid().to_numpy(zero_copy_only=False)
    return [value if there else None for value, there in zip(lists, known.tolist(), strict=True)]
