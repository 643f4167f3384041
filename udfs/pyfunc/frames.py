"""pandas, which is what MLflow hands over and takes back, and Arrow, which is what the engine reads.

Stock ``spark_udf`` converts results again: nothing null may be a list of lists or structs, nor a struct, and a null
among texts, numbers or truth values is kept only by a column that no ``astype`` changes. Runs on the executor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from engine.schema import TaskSchema
from udfs.sql import arrow_column


class Nullable(pd.arrays.ArrowExtensionArray):
    """A column that keeps its nulls: MLflow's ``astype`` would make "None", False and 0 of them."""

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """Itself: Spark reads the type of what lies in it."""
        return self


def inputs_of(frame: pd.DataFrame, schema: TaskSchema) -> dict[str, pa.Array]:
    """The columns of the task's roles that the frame has, in the types of ``schema``."""
    roles = [role for role in schema.inputs if role.name in frame.columns]
    return {role.name: arrow_column(frame[role.name], role) for role in roles}


def params_of(frame: pd.DataFrame, names: tuple[str, ...]) -> dict[str, pa.Array]:
    """The columns of parameters with a value in them. Whole numbers that pandas made floats of are whole again."""
    given = {name: frame[name] for name in names if name in frame.columns and frame[name].notna().any()}
    return {name: pa.array(list(map(_value, column)), from_pandas=True) for name, column in given.items()}


def frame_of(result: pa.StructArray) -> pd.DataFrame:
    """One column for each field of the struct, as stock ``spark_udf`` can convert it: a null row has nulls."""
    return pd.DataFrame({one.name: _series(result.field(one.name), result) for one in result.type})


def _series(column: pa.Array, parent: pa.StructArray) -> pd.Series:
    if parent.null_count:
        column = _masked(column, parent)
    if not pa.types.is_nested(column.type):
        return pd.Series(Nullable(pa.chunked_array([column])))
    return pd.Series([_filled(value, column.type) for value in column.to_pylist()], dtype=object)


def _masked(column: pa.Array, parent: pa.StructArray) -> pa.Array:
    import pyarrow.compute as pc

    return pc.if_else(parent.is_valid(), column, pa.scalar(None, column.type))


def _filled(value: Any, of: pa.DataType) -> Any:
    """A null struct as a struct of nulls, a null list of lists or structs as an empty one."""
    if pa.types.is_struct(of):
        known: Mapping[str, Any] = value or {}
        return {one.name: _filled(known.get(one.name), one.type) for one in of}
    if pa.types.is_list(of) and pa.types.is_nested(of.value_type):
        return [_filled(one, of.value_type) for one in value or ()]
    return value


def _value(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
