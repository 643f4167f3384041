"""Which column of a table is which input of a task, and whether the engine reads its type. Runs on the driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from engine.errors import SchemaError
from engine.options import Request
from engine.schema import Input, TaskSchema
from engine.tasks import task_class
from engine.tasks.audio import AudioTask

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


def check_roots(schema: StructType, request: Request, task: str) -> None:
    """Raises SchemaError where a column names recordings by paths and none may be read: each would be an error."""
    column = request.inputs.get("audio")
    if not issubclass(task_class(task), AudioTask) or column not in schema.names:
        return
    if not _is(pa.string(), schema[column].dataType):
        return
    if request.params.get("strings", "path") == "path" and not request.params.get("roots"):
        raise SchemaError(
            f"expected roots, below which the paths of column {column} may be read, got none: write roots: [folder or "
            "URI, …], or strings: base64 where it holds the recordings themselves"
        )


def _reads(role: Input, found: Any) -> bool:
    from pyspark.sql.types import ArrayType, MapType, NumericType, StructType

    if pa.types.is_integer(role.type) or pa.types.is_floating(role.type):
        return isinstance(found, NumericType)
    if role.nested and isinstance(found, ArrayType) and isinstance(found.elementType, StructType | MapType):
        return True
    if role.record and isinstance(found, StructType | MapType):
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
