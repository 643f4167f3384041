"""A value of JSON, as ``json.loads`` decodes it with every number a Decimal → one of Python's for an Arrow type.

Runs in the worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

#: The least and the greatest integer of 64 bits.
INT64: Final = (-(2**63), 2**63 - 1)


@dataclass(frozen=True)
class Typed:
    """A type, and what turns a value of JSON into one of Python's for it.

    ``read`` raises ValueError for a value that the type does not hold.
    """

    type: pa.DataType
    read: Callable[[Any], Any]


def object_of(fields: Mapping[str, Typed]) -> Typed:
    """Objects with these properties, as structs; one that is left out is null."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("expected an object")
        return {name: _read(field, value.get(name)) for name, field in fields.items()}

    return Typed(pa.struct([pa.field(name, field.type) for name, field in fields.items()]), read)


def array_of(element: Typed) -> Typed:
    """Arrays of such values, as lists."""

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError("expected an array")
        return [_read(element, one) for one in value]

    return Typed(pa.list_(pa.field("element", element.type)), read)


def _read(of: Typed, value: Any) -> Any:
    return None if value is None else of.read(value)


def _kind(*kinds: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, kinds):
            raise ValueError(f"expected a value of {kinds[0].__name__}")
        return value

    return read


def _read_integer(value: Any) -> int:
    if not isinstance(value, Decimal) or not INT64[0] <= value <= INT64[1] or value != value.to_integral_value():
        raise ValueError("expected a whole number of 64 bits")
    return int(value)


def _read_double(value: Any) -> float:
    if not isinstance(value, Decimal) or abs(float(value)) == float("inf"):
        raise ValueError("expected a number that a double holds")
    return float(value)


def written(value: Any) -> str:
    """JSON of a decoded value, its numbers digit for digit."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, dict):
        return (
            f"{{{','.join(f'{json.dumps(name, ensure_ascii=False)}:{written(one)}' for name, one in value.items())}}}"
        )
    return json.dumps(value, ensure_ascii=False)


#: Values that have no one type.
JSON: Final = Typed(pa.string(), written)
STRING: Final = Typed(pa.string(), _kind(str))
BOOLEAN: Final = Typed(pa.bool_(), _kind(bool))
INTEGER: Final = Typed(pa.int64(), _read_integer)
DOUBLE: Final = Typed(pa.float64(), _read_double)
