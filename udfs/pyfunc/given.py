"""What ``predict`` is given → a DataFrame with a row for each result. Runs wherever a model predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.errors import SchemaError
from engine.schema import Input, TaskSchema

_MESSAGES: Final = "messages"


def frame_of_given(data: Any, schema: TaskSchema) -> pd.DataFrame:
    """The rows to score, a column for each role or parameter.

    Args:
        data: a DataFrame; a Series or a list of values of the main role; one value of it; a list of rows as mappings;
            a mapping, which is one request.
        schema: of the task.

    A request of one conversation or of several texts is put together here: MLflow makes a row for each message of
    ``{"messages": […]}``, and one row of the whole list of ``{"text": ["a", "b"]}``. Neither is a row of any other
    kind: a message alone is no conversation, and no role of a text takes a list. Raises SchemaError where texts and
    second texts are not equally many, and where a required role is missing.
    """
    frame = data if isinstance(data, pd.DataFrame) else _framed(data, schema)
    frame = _texts(_conversation(frame), schema)
    check_roles(list(frame.columns), schema)
    return frame


def check_roles(names: list[Any], schema: TaskSchema) -> None:
    """Raises SchemaError where there is no column for a required role."""
    missing = [role.name for role in schema.inputs if role.required and role.name not in names]
    if missing:
        wanted = " and ".join(f"{role.name} ({role.words})" for role in schema.inputs if role.name in missing)
        raise SchemaError(f"expected a column {wanted}, got {', '.join(map(str, names)) or 'none'}: rename the columns")


def _framed(data: Any, schema: TaskSchema) -> pd.DataFrame:
    main, roles = schema.inputs[0].name, {role.name for role in schema.inputs}
    if isinstance(data, pd.Series):
        return data.to_frame(main)
    if isinstance(data, Mapping):
        return pd.DataFrame([data])
    several = isinstance(data, list | tuple) or (isinstance(data, np.ndarray) and data.dtype.kind in "OU")
    rows = list(data) if several else [data]  # an array of numbers is one recording's samples
    if rows and all(isinstance(row, Mapping) and row.keys() & roles for row in rows):
        return pd.DataFrame(rows)
    return pd.DataFrame({main: pd.Series(rows, dtype=object)})


def _conversation(frame: pd.DataFrame) -> pd.DataFrame:
    if _MESSAGES not in frame.columns or frame.empty:
        return frame
    cells = frame[_MESSAGES]
    if not all(isinstance(cell, Mapping) and "role" in cell for cell in cells):
        return frame
    return frame.iloc[:1].assign(**{_MESSAGES: pd.Series([list(cells)], index=frame.index[:1], dtype=object)})


def _texts(frame: pd.DataFrame, schema: TaskSchema) -> pd.DataFrame:
    if len(frame) != 1:
        return frame
    roles = [role.name for role in schema.inputs if _is_text(role) and role.name in frame.columns]
    lists = [name for name in roles if isinstance(frame[name].iloc[0], list | tuple | np.ndarray)]
    if not lists:
        return frame
    sizes = {name: len(frame[name].iloc[0]) for name in lists}
    if len(set(sizes.values())) > 1:
        given = ", ".join(f"{size} of {name}" for name, size in sizes.items())
        raise SchemaError(f"expected as many values of each input of a request, got {given}")
    return frame.explode(lists, ignore_index=True) if sizes[lists[0]] else frame.iloc[:0]


def _is_text(role: Input) -> bool:
    return role.type == pa.string() and not (role.also or role.nested or role.record)
