"""MLflow's signature of a task, from ``engine.schema``: the model is never run for it. Runs on the driver."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from engine.errors import SchemaError
from engine.schema import Input, schema_of
from engine.tasks import task_class

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

_NAMES: Final[Mapping[pa.DataType, str]] = {
    pa.string(): "string",
    pa.bool_(): "boolean",
    pa.int32(): "integer",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.binary(): "binary",
}
_SCALARS: Final[Mapping[type, str]] = {str: "string", bool: "boolean", int: "long", float: "double"}


def signature_of(task: str, params: Mapping[str, Any] | None = None) -> ModelSignature:
    """The signature of a task of the table.

    Inputs are its roles, required ones first, then an optional column for each parameter that a row may set. Texts and
    bytes have their own type; whatever else is AnyType, since MLflow refuses a null list or struct, and whole numbers
    beside nulls, in a column of a type. The output is one column, an object with the struct's fields.

    Args:
        task: of the table.
        params: values logged with the model, the defaults of the signature's parameters in place of the task's own.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, ParamSchema, Schema

    schema = schema_of(task)
    by_row = [ColSpec(AnyType(), name, required=False) for name in row_params(task)]
    return ModelSignature(
        inputs=Schema([*map(_column, schema.inputs), *by_row]),
        outputs=Schema([ColSpec(_type(schema.output), name="result")]),
        params=ParamSchema(_params(task, params or {})),
    )


def row_params(task: str) -> tuple[str, ...]:
    """The parameters that a column may give, by which a row sets its own; no name of an input role."""
    cls = task_class(task)
    roles = {role.name for role in schema_of(task).inputs}
    return tuple(one.name for one in fields(cls.Params) if one.name not in {*cls.fixed, *roles})


def _column(role: Input) -> Any:
    from mlflow.types.schema import AnyType, ColSpec, DataType

    plain = role.type in (pa.string(), pa.binary()) and not role.nested and not role.record
    return ColSpec(DataType[_NAMES[role.type]] if plain else AnyType(), role.name, required=role.required)


def _type(of: pa.DataType) -> Any:
    from mlflow.types.schema import Array, DataType, Object, Property

    if pa.types.is_struct(of):
        return Object([Property(one.name, _type(one.type), required=False) for one in of.fields])
    if pa.types.is_list(of):
        return Array(_type(of.value_type))
    if of == pa.binary():
        raise SchemaError("stock spark_udf refuses binary results: score with a job, udfs.score or udfs.register")
    return DataType[_NAMES[of]]


def _params(task: str, logged: Mapping[str, Any]) -> list[Any]:
    """Those of one value or a list of them; a mapping can't stand in MLflow's signature."""
    from mlflow.types.schema import DataType, ParamSpec

    cls = task_class(task)
    hints = typing.get_type_hints(cls.Params)
    made = []
    for one in fields(cls.Params):
        default = logged.get(one.name, None if one.name in cls.required else one.default)
        kind, listed = _scalar(hints[one.name])
        if kind is None or (listed and default is None):
            continue
        if listed:
            made.append(ParamSpec(one.name, DataType[kind], list(default), shape=(-1,)))
        else:
            made.append(ParamSpec(one.name, DataType[kind], default))
    return made


def _scalar(hint: Any) -> tuple[str | None, bool]:
    """MLflow's name of a parameter's type, and whether it takes a list of it; None where MLflow has none."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        found = [_scalar(arg) for arg in args if arg is not type(None)]
        return next((one for one in found if one[0] is not None and one[1]), found[0])
    if origin is typing.Literal:
        return _SCALARS.get(type(args[0])), False
    if origin is tuple:
        return _scalar(args[0])[0], True
    return _SCALARS.get(hint), False
