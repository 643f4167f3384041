"""The struct of a model that no task describes: learned from a few of its own results, then held for the whole run.

``engine.schema`` stays the only place where types are written down; here they are found. Runs on the driver.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from engine.errors import SchemaError
from engine.schema import Input, TaskSchema, ddl

log = logging.getLogger("embercast")

#: The one field of a result that is no mapping, or whose own fields include ``error``.
RESULT: Final = "result"
_ERROR: Final = "error"
#: What Delta takes in the name of a field.
_NAME: Final = re.compile(r"[^\s,;{}()=`.]+")


def learn(inputs: tuple[Input, ...], values: Iterable[Any]) -> TaskSchema:
    """The schema that these results have, one result a row; null ones say nothing.

    A mapping becomes a struct with every field that one of them has, a list a list, a whole number BIGINT, another
    number DOUBLE, a text STRING; whole and other numbers together are DOUBLE. What is always null or empty is STRING,
    and a warning names it.

    Raises SchemaError where two results can't have one type, and for a name that a table can't have.
    """
    known = [value for value in map(plain, values) if value is not None]
    if not known:
        raise SchemaError("expected a result to learn the struct from, got none: give rows that the model scores")
    whole = any(not isinstance(value, Mapping) or not value or _ERROR in value for value in known)
    fields = [{RESULT: value} if whole else value for value in known]
    found = _type_of(fields, "")
    unknown = list(_unknown(found, ""))
    if unknown:
        log.warning("nothing in the sample tells the type of %s: taken for STRING", ", ".join(unknown))
    return TaskSchema(inputs=inputs, fields=tuple(_told(found).fields))


def held(inputs: tuple[Input, ...], struct: pa.StructType) -> TaskSchema | None:
    """The schema of a struct that results were written in before; None where it is no struct of this engine."""
    fields = list(struct.fields) if pa.types.is_struct(struct) else []
    if len(fields) < 2 or fields[-1].name != _ERROR:
        return None
    return TaskSchema(inputs=inputs, fields=tuple(pa.field(one.name, _told(one.type)) for one in fields[:-1]))


def plain(value: Any) -> Any:
    """NumPy, torch and pandas values as Python's own; mappings with text keys, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return plain(value.tolist()) if hasattr(value, "tolist") else value


def words(dtype: pa.DataType) -> str:
    """A type as Spark names it, without what lies in it: ``STRUCT``, ``ARRAY``, ``DOUBLE``."""
    return ddl(dtype).partition("<")[0]


def kind(value: Any) -> pa.DataType | None:
    """The type of a Python value that holds no other, None where there is none."""
    kinds = ((bool, pa.bool_()), (int, pa.int64()), (float, pa.float64()), (str, pa.string()), (bytes, pa.binary()))
    return next((dtype for one, dtype in kinds if isinstance(value, one)), None)


def _type_of(values: Sequence[Any], at: str) -> pa.DataType:
    known = [value for value in values if value is not None]
    if not known:
        return pa.null()
    if all(isinstance(value, Mapping) for value in known):
        return _struct(known, at)
    if all(isinstance(value, list) for value in known):
        inner = _type_of([one for value in known for one in value], f"{at}[]")
        return pa.list_(pa.field("element", inner))
    kinds = {_kind(value, at) for value in known}
    if kinds == {pa.int64(), pa.float64()}:
        return pa.float64()
    if len(kinds) > 1:
        raise SchemaError(
            f"expected results of one type in {at}, the sample has {' and '.join(sorted(map(words, kinds)))}: "
            "change the model to give one of them"
        )
    return kinds.pop()


def _kind(value: Any, at: str) -> pa.DataType:
    if isinstance(value, Mapping):
        return pa.struct([])
    if isinstance(value, list):
        return pa.list_(pa.field("element", pa.string()))
    found = kind(value)
    if found is None:
        raise SchemaError(
            f"expected mappings, lists, numbers, texts, truth values or bytes in {at}, the sample has a "
            f"{type(value).__name__}: change the model to give one of them"
        )
    return found


def _struct(values: Sequence[Mapping[str, Any]], at: str) -> pa.DataType:
    names = dict.fromkeys(name for value in values for name in value)
    lower = [name.lower() for name in names]
    for name in names:
        if not _NAME.fullmatch(name) or lower.count(name.lower()) > 1:
            raise SchemaError(
                f"expected fields whose names hold no space and none of ,;{{}}()=.` and differ in more than case, "
                f"the sample has {name!r} in {at or 'the result'}: rename it in the model"
            )
    inner = {name: _type_of([value.get(name) for value in values], f"{at}.{name}".lstrip(".")) for name in names}
    return pa.struct([pa.field(name, dtype) for name, dtype in inner.items()]) if inner else pa.null()


def _unknown(dtype: pa.DataType, at: str) -> Iterable[str]:
    if pa.types.is_null(dtype):
        yield at
    elif pa.types.is_list(dtype):
        yield from _unknown(dtype.value_type, f"{at}[]")
    elif pa.types.is_struct(dtype):
        for one in dtype.fields:
            yield from _unknown(one.type, f"{at}.{one.name}".lstrip("."))


def _told(dtype: pa.DataType) -> pa.DataType:
    """The type with STRING in place of the unknown, and with fields and elements as ``engine.schema`` makes them."""
    if pa.types.is_null(dtype):
        return pa.string()
    if pa.types.is_list(dtype):
        return pa.list_(pa.field("element", _told(dtype.value_type)))
    if pa.types.is_struct(dtype):
        return pa.struct([pa.field(one.name, _told(one.type)) for one in dtype.fields])
    return dtype
