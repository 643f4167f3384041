"""Results of a foreign model → the struct that was pinned, strictly: what does not fit is an error of its row.

Arrow's own conversion is lenient (a text becomes a list of letters, 2.5 becomes 2, a new field is dropped), so every
value is looked at first. Runs on the executor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import RowError, non_finite
from engine.inferred import RESULT, kind, words
from engine.schema import TaskSchema

_CHANGED: Final = "the struct was pinned before the first row; give the model another sink, or a sample that shows this"


def fitted(values: Sequence[Any], schema: TaskSchema) -> pa.StructArray:
    """Plain Python values, one a row → the schema's struct without ``error``.

    A field that a result lacks is null. Raises RowError ``schema_mismatch`` where a result does not fit, ``non_finite``
    where a number is NaN or Inf; neither names what came, which may be the row's.
    """
    struct = pa.struct(list(schema.fields))
    rows = [_as_fields(value, schema) for value in values]
    for row in rows:
        wrong = misfit(row, struct, "")
        if wrong is not None:
            raise RowError("schema_mismatch", f"{wrong}: {_CHANGED}")
    try:
        made = pa.array(rows, struct)
    except (pa.ArrowException, OverflowError, UnicodeError):  # too large a number, or half a character
        raise RowError("schema_mismatch", f"expected values that {words(struct)} holds exactly: {_CHANGED}") from None
    if not _finite(made):
        raise non_finite()
    return made


def misfit(value: Any, dtype: pa.DataType, at: str) -> str | None:
    """What was expected where, in words, if the value does not fit the type; None where it does. Null fits."""
    if value is None:
        return None
    expected = f"expected {at or 'the result'} to be {words(dtype)}"
    if pa.types.is_struct(dtype):
        if not isinstance(value, Mapping):
            return f"{expected}, got another type"
        inner = {field.name: field.type for field in dtype.fields}
        if value.keys() - inner.keys():
            return f"{expected} of {', '.join(inner)}, got a field more"
        found = (misfit(value[name], of, f"{at}.{name}".lstrip(".")) for name, of in inner.items() if name in value)
        return next((wrong for wrong in found if wrong), None)
    if pa.types.is_list(dtype):
        if not isinstance(value, list):
            return f"{expected}, got another type"
        return next((wrong for one in value if (wrong := misfit(one, dtype.value_type, f"{at}[]"))), None)
    return None if _is(value, dtype) else f"{expected}, got another type"


def _is(value: Any, dtype: pa.DataType) -> bool:
    found = kind(value)
    if found == pa.int64():
        return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype))
    if found == pa.float64() and pa.types.is_integer(dtype):
        return bool(value.is_integer())
    return bool(found == dtype or (found == pa.float64() and pa.types.is_floating(dtype)))


def _as_fields(value: Any, schema: TaskSchema) -> Any:
    """The value as the struct's fields; a bare result, or one with fields of its own, as the field ``result``."""
    bare = [field.name for field in schema.fields] == [RESULT]
    named = isinstance(value, Mapping) and value.keys() == {RESULT}
    return {RESULT: value} if bare and not named else value


def _finite(array: pa.Array) -> bool:
    if pa.types.is_struct(array.type):
        return all(_finite(part) for part in array.flatten())
    if pa.types.is_list(array.type):
        return _finite(array.flatten())
    return not pa.types.is_floating(array.type) or pc.all(pc.is_finite(array)).as_py() is not False
