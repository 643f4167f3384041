"""An Arrow table's columns → those that a task reads, in its own types. Runs wherever a model predicts."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import SchemaError
from engine.schema import Input, TaskSchema


def arrow_columns(table: pa.Table, schema: TaskSchema) -> dict[str, pa.Array]:
    """The columns of the task's roles that the table has; others are left aside.

    Types that hold the same values are taken too: large, view, dictionary-encoded and fixed-size ones, other whole
    numbers. Raises SchemaError for another type.
    """
    roles = [role for role in schema.inputs if role.name in table.column_names]
    return {role.name: fitted(table.column(role.name).combine_chunks(), role) for role in roles}


def row_arrays(table: pa.Table, names: tuple[str, ...]) -> dict[str, pa.Array]:
    """The columns of parameters that have a value in some row, as they are."""
    columns = {name: table.column(name).combine_chunks() for name in names if name in table.column_names}
    return {name: column for name, column in columns.items() if column.null_count < len(column)}


def fitted(column: pa.Array, role: Input) -> pa.Array:
    """A column in a type of its role. Raises SchemaError for one that holds other values."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    found = column.type
    to = next((one for one in (role.type, *role.also) if _same(found, one)), None)
    if to is None and role.nested and _is_list(found) and _is_object(found.value_type):
        to = pa.list_(pa.field("element", found.value_type))
    if to is None and role.record and _is_object(found):
        to = found
    if to is None:
        raise SchemaError(f"expected {role.words} in column {role.name}, got {found}: cast the column")
    return pc.cast(column, options=pc.CastOptions(to, allow_invalid_utf8=True))


def _same(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether all that a column of one type holds can stand in one of the other."""
    types = pa.types
    if types.is_null(found):
        return True
    if types.is_list(wanted):
        return _is_list(found) and _same(found.value_type, wanted.value_type)
    if types.is_string(wanted):
        return bool(types.is_string(found) or types.is_large_string(found) or types.is_string_view(found))
    if types.is_binary(wanted):
        kinds = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
        return any(kind(found) for kind in kinds)
    return bool(types.is_integer(found) if types.is_integer(wanted) else found == wanted)


def _is_list(found: pa.DataType) -> bool:
    return bool(pa.types.is_list(found) or pa.types.is_large_list(found) or pa.types.is_fixed_size_list(found))


def _is_object(found: pa.DataType) -> bool:
    return bool(pa.types.is_struct(found) or pa.types.is_map(found))
