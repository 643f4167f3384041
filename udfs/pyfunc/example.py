"""An input example in the columns of a task's signature, whatever form a pipeline takes it in. Runs on the driver."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from engine.errors import SchemaError
from engine.schema import Input, schema_of
from engine.tasks.params import row_params

if TYPE_CHECKING:
    import pandas as pd


def example_of(task: str, given: Any) -> Any:
    """The example as MLflow keeps it: a DataFrame, with parameters beside it where they were given so.

    Args:
        task: of the table.
        given: a value of the task's first input, a list of them, a mapping or a DataFrame of columns; or such a thing
            and parameters in a tuple.

    Raises SchemaError for columns that the task does not have.
    """
    if isinstance(given, tuple):
        return _frame(task, given[0]), given[1]
    return _frame(task, given)


def _frame(task: str, given: Any) -> pd.DataFrame:
    import pandas as pd

    roles = schema_of(task).inputs
    if isinstance(given, pd.DataFrame):
        frame = given.set_axis([roles[0].name], axis=1) if [*map(str, given.columns)] == ["0"] else given
    elif isinstance(given, Mapping):
        main = given.get(roles[0].name)
        several = isinstance(main, list) and not _is_one(main, roles[0])
        frame = pd.DataFrame(dict(given) if several else {name: [value] for name, value in given.items()})
    else:
        frame = pd.DataFrame({roles[0].name: [given] if _is_one(given, roles[0]) else list(given)})
    known = [*(role.name for role in roles), *row_params(task)]
    unknown = [str(name) for name in frame.columns if name not in known]
    if unknown:
        raise SchemaError(f"expected columns of {', '.join(known)} in the input example, got {', '.join(unknown)}")
    return frame


def _is_one(value: Any, role: Input) -> bool:
    """Whether it is the input of one row: a list is where the role's own values are lists of such things."""
    if not hasattr(value, "__iter__") or isinstance(value, str | bytes | Mapping):
        return True
    first = next(iter(value), None)
    if isinstance(first, Mapping):
        return role.nested
    of = [one.value_type for one in (role.type, *role.also) if pa.types.is_list(one)]
    return any(isinstance(first, str if pa.types.is_string(one) else Number) for one in of)
