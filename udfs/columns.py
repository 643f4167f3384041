"""Which column of a table is which input of a task, and whether the engine reads its type. Runs on the driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from engine.errors import SchemaError
from engine.options import Request
from engine.schema import Input, TaskSchema

if TYPE_CHECKING:
    from pyspark.sql.types import StructType


def roles(task: str, input: str | Mapping[str, str], schema: TaskSchema) -> dict[str, str]:
    """Input role → column; a plain column name is the task's main role. Raises SchemaError for an unknown role."""
    named = {schema.inputs[0].name: input} if isinstance(input, str) else dict(input)
    for name in named:
        schema.role(name)
    missing = [role.name for role in schema.inputs if role.required and role.name not in named]
    if missing:
        raise SchemaError(f"{task} needs the inputs {', '.join(missing)}: name a column for each")
    return named


def check_columns(schema: StructType, request: Request, task: str, reads: TaskSchema) -> None:
    """Raises SchemaError where a column that the engine reads is missing or there twice, or of the wrong type."""
    missing = [name for name in request.columns if name not in schema.names]
    if missing:
        raise SchemaError(f"expected columns {', '.join(missing)}; the table has {', '.join(schema.names)}")
    again = [name for name in request.columns if schema.names.count(name) > 1]
    if again:
        raise SchemaError(f"expected one column {', '.join(again)}, the table has several: rename the others")
    for role, column in request.inputs.items():
        expected = reads.role(role)
        if not _reads(expected, schema[column].dataType):
            found = schema[column].dataType.simpleString().upper()
            raise SchemaError(
                f"expected column {column} (input {role} of {task}) to be {expected.words}, it is {found}"
            )


def _reads(role: Input, found: Any) -> bool:
    from pyspark.sql.types import ArrayType, MapType, NumericType, StructType

    if pa.types.is_integer(role.type) or pa.types.is_floating(role.type):
        return isinstance(found, NumericType)
    if role.nested and isinstance(found, ArrayType) and isinstance(found.elementType, StructType | MapType):
        return True
    return any(_is(one, found) for one in (role.type, *role.also))


def _is(wanted: pa.DataType, found: Any) -> bool:
    """Whether Spark's type is this one of Arrow's."""
    from pyspark.sql.types import (
        ArrayType,
        BinaryType,
        BooleanType,
        CharType,
        DoubleType,
        FloatType,
        StringType,
        VarcharType,
    )

    if pa.types.is_list(wanted):
        return isinstance(found, ArrayType) and _is(wanted.value_type, found.elementType)
    if pa.types.is_string(wanted):
        return isinstance(found, StringType | VarcharType | CharType)
    kinds = {
        pa.binary(): BinaryType,
        pa.bool_(): BooleanType,
        pa.float32(): FloatType,
        pa.float64(): DoubleType,
    }
    return wanted in kinds and isinstance(found, kinds[wanted])
