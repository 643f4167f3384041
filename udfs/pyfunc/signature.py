"""MLflow's signature of a task, from ``engine.schema``: the model is never run for it. Runs on the driver."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from engine.errors import SchemaError
from engine.models import names
from engine.schema import Input, schema_of
from engine.tasks import task_class
from engine.tasks.params import row_params

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

#: What a task says whose results are bytes, wherever stock MLflow would have to carry them.
BINARY: Final = (
    "{task} gives bytes, which stock spark_udf refuses as a result: score it with a job, udfs.score or udfs.register, "
    "or in one process with udfs.pyfunc.load"
)
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

    Parameters are those that a call may give. One of a single value has the default null, which says: as the model was
    logged or loaded. MLflow has no null for a list, whose default is the logged one. A parameter that is an object, or
    a list of them, is text: its JSON.

    Args:
        task: of the table.
        params: values logged with the model (model_config), under the task's names or transformers'.

    Raises SchemaError for a task whose results are bytes: it is logged without a signature.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, ParamSchema, Schema

    schema = schema_of(task)
    if not has_signature(task):
        raise SchemaError(BINARY.format(task=task))
    by_row = [ColSpec(AnyType(), name, required=False) for name in row_params(task)]
    return ModelSignature(
        inputs=Schema([*map(_column, schema.inputs), *by_row]),
        outputs=Schema([ColSpec(_type(schema.output), name="result")]),
        params=ParamSchema(_params(task, names.params_of(task, params or {}))),
    )


def has_signature(task: str) -> bool:
    """Whether stock MLflow can carry the results of a task of the table: it has no columns of bytes among them."""
    return pa.binary() not in [one.type for one in schema_of(task).fields]


def in_json(task: str) -> frozenset[str]:
    """The parameters whose values are objects or lists of them: a signature has them as text."""
    return frozenset(name for name, hint in _hints(task).items() if _kind(hint).json)


@dataclass(frozen=True)
class _Kind:
    """What MLflow calls a parameter's type: one value or a list of them; ``json`` for text that holds an object."""

    name: str | None
    listed: bool = False
    json: bool = False


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
    return DataType[_NAMES[of]]


def _params(task: str, logged: Mapping[str, Any]) -> list[Any]:
    from mlflow.types.schema import DataType, ParamSpec

    hints, made = _hints(task), []
    for one in fields(task_class(task).Params):
        kind = _kind(hints[one.name])
        if kind.name is None or one.name in _fixed(task):
            continue
        default = _list(logged.get(one.name, one.default)) if kind.listed else None
        if kind.listed and default is None:
            continue
        made.append(ParamSpec(one.name, DataType[kind.name], default, shape=(-1,) if kind.listed else None))
    return made


def _list(value: Any) -> list[Any] | None:
    return [value] if isinstance(value, str) else None if value is None else list(value)


def _fixed(task: str) -> tuple[str, ...]:
    fixed: tuple[str, ...] = task_class(task).fixed
    return fixed


def _hints(task: str) -> dict[str, Any]:
    return typing.get_type_hints(task_class(task).Params)


def _kind(hint: Any) -> _Kind:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        found = [_kind(arg) for arg in args if arg is not type(None)]
        return next((one for one in found if one.listed), found[0])
    if origin is typing.Literal:
        return _Kind(_SCALARS.get(type(args[0])))
    if origin is tuple:
        inner = _kind(args[0])
        return inner if inner.json else _Kind(inner.name, listed=True)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _Kind("string", json=True)
    return _Kind(_SCALARS.get(hint))
