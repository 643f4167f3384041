"""A pandas frame's columns → Arrow, cell by cell where Arrow can't take the whole: what no table of Spark's holds.

A text that is not UTF-8 (bytes, or Python's lone surrogates) becomes an error of its row, as it is at every other
door. A cell that is no value of its role at all is a mistake of the frame. Runs wherever a model predicts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import SchemaError
from engine.inferred import plain
from engine.schema import Input, TaskSchema
from udfs.pyfunc.arrow import fitted
from udfs.pyfunc.frames import UNFIT, inputs_of

_OBJECTS: Final = (list, tuple, np.ndarray, Mapping)
_LIST: Final = pa.list_(pa.field("element", pa.binary()))


def role_columns(frame: pd.DataFrame, schema: TaskSchema, *, said: bool) -> dict[str, pa.Array]:
    """The columns of the task's roles that the frame has.

    Args:
        frame: cells of any kind.
        schema: of the task.
        said: whether a plain string among conversations is what a user says (``strings: text``).

    Raises SchemaError for a cell that is no value of its role.
    """
    roles = [role for role in schema.inputs if role.name in frame.columns]
    return {role.name: _column(frame[role.name], role, schema, said=said) for role in roles}


def _column(series: pd.Series, role: Input, schema: TaskSchema, *, said: bool) -> pa.Array:
    if role.nested and said:
        series = _turns(series)
    try:
        made = inputs_of(series.to_frame(role.name), schema)[role.name]
    except UNFIT:
        return _read(series, role)
    return fitted(made, role) if role.type == pa.binary() else made


def _turns(series: pd.Series) -> pd.Series:
    """Beside conversations, which travel as JSON, a plain string would be taken for JSON too."""
    kinds = {*map(type, series)}
    if str not in kinds or not any(issubclass(kind, _OBJECTS) for kind in kinds):
        return series
    return series.map(lambda cell: [{"role": "user", "content": cell}] if isinstance(cell, str) else cell)


def _read(series: pd.Series, role: Input) -> pa.Array:
    found = _reader(role)
    if found is None:
        raise SchemaError(f"expected {role.words} in column {role.name}, one kind for all rows: convert the column")
    read, of = found
    cells = []
    for at, cell in enumerate(series):
        try:
            cells.append(None if _is_null(cell) else read(cell))
        except TypeError:
            raise SchemaError(
                f"expected {role.words} in column {role.name}, got a {type(cell).__name__} in row {at}: convert the "
                "column, or leave the row out"
            ) from None
    made = pa.array(cells, of)
    if role.nested and any(isinstance(cell, _OBJECTS) for cell in series):
        return made  # bytes tell JSON from what a user says
    text = role.also[0] if role.also else pa.string() if of == pa.binary() else role.type
    return pc.cast(made, options=pc.CastOptions(text, allow_invalid_utf8=True))


def _reader(role: Input) -> tuple[Callable[[Any], Any], pa.DataType] | None:
    """What reads a cell of the role, and the type it reads to; None where Arrow's word is the last."""
    if role.nested or role.record:
        return _object, pa.binary()
    if role.type == pa.string() and not role.also:
        return _text, pa.binary()
    if pa.list_(pa.string()) in (role.type, *role.also):
        return _texts, _LIST
    return None


def _text(cell: Any) -> bytes:
    if isinstance(cell, str):
        return cell.encode("utf-8", "surrogatepass")
    if isinstance(cell, bytes):
        return cell
    raise TypeError


def _object(cell: Any) -> bytes:
    return json.dumps(plain(cell), default=str).encode() if isinstance(cell, _OBJECTS) else _text(cell)


def _texts(cell: Any) -> list[bytes | None]:
    if isinstance(cell, str | bytes):
        return [_text(cell)]
    if isinstance(cell, list | tuple | np.ndarray):
        return [None if _is_null(one) else _text(one) for one in cell]
    raise TypeError


def _is_null(cell: Any) -> bool:
    return cell is None or cell is pd.NA or (isinstance(cell, float) and np.isnan(cell))
