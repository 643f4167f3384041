"""Parameters of a task: checked on the driver where they are fixed, on the executor where a column gives them."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from decimal import Decimal
from functools import cache
from typing import Any, Literal

from engine.errors import ParameterError
from engine.options import Column
from engine.schema import schema_of
from engine.tasks import task_class


def parse_params(task: str, params: Mapping[str, Any]) -> Any:
    """The task's ``Params`` with these values over the defaults.

    A ``Column`` stands for its default, where it has one; its values are checked later, row by row. A decimal, as
    which Spark SQL reads 0.7, is taken for a float.

    Raises ParameterError, with the list of what the task takes, for an unknown name or a value of the wrong type.
    """
    values = _fixed(params)
    if task_class(task).open_params:
        return task_class(task).Params(call=values)
    cls, required = task_class(task).Params, task_class(task).required
    _check(task, params, values)
    by_column = [name for name in task_class(task).fixed if isinstance(params.get(name), Column)]
    if by_column:
        raise ParameterError(f"expected {', '.join(by_column)} to be a value for all rows, got a column: write it")
    missing = [name for name in required if params.get(name) is None]
    if missing:
        raise ParameterError(f"{task} needs {' and '.join(missing)}; it takes {takes(task)}")
    return cls(**{name: _kept(value) for name, value in values.items()})


def parse_given(task: str, params: Mapping[str, Any]) -> Any:
    """As ``parse_params``, of parameters to which those that the task needs may still be added."""
    return parse_params(task, {**dict.fromkeys(task_class(task).required, Column("")), **params})


def row_params(task: str) -> tuple[str, ...]:
    """The parameters that a column may give, by which a row sets its own; no name of an input role."""
    cls, roles = task_class(task), {role.name for role in schema_of(task).inputs}
    return tuple(one.name for one in fields(cls.Params) if one.name not in {*cls.fixed, *roles})


def replaced(task: str, params: Any, values: Mapping[str, Any]) -> Any:
    """A task's ``Params`` with these values over its own. Raises ParameterError as ``parse_params`` does."""
    _check(task, values, values)
    return replace(params, **{name: _kept(value) for name, value in values.items()})


def _check(task: str, names: Iterable[str], values: Mapping[str, Any]) -> None:
    """Raises ParameterError for a name that the task does not have, and for a value of another type than its name's."""
    hints, required = _hints(task_class(task).Params), task_class(task).required
    for name in names:
        if name not in hints:
            raise ParameterError(f"{task} has no parameter {name!r}; it takes {takes(task)}")
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise ParameterError(
                f"expected {name} to be {_words(hints[name])}, got {value!r}; {task} takes {takes(task)}"
            )
        if name in required and value in ([], ()):
            raise ParameterError(
                f"expected {name} to be {_words(hints[name])}, at least one, got {value!r}; {task} takes {takes(task)}"
            )


def takes(task: str) -> str:
    """``top_k: int or null = null, …``: every parameter of a task with its type and default."""
    if task_class(task).open_params:
        return "whatever the model itself takes"
    return "; ".join(f"{name}: {words} = {default}" for name, words, default in describe(task)) or "none"


def describe(task: str) -> list[tuple[str, str, str]]:
    """Name, type and default of every parameter of a task, in words; what it shares with other tasks comes last."""
    cls, required = task_class(task).Params, task_class(task).required
    hints = _hints(cls)
    return [
        (f.name, _words(hints[f.name]), "required" if f.name in required else _value(f.default))
        for f in sorted(fields(cls), key=lambda f: f.name not in cls.__annotations__)
    ]


@cache
def _hints(cls: type) -> dict[str, Any]:
    """Types by field; a column's parameters are parsed again and again."""
    return typing.get_type_hints(cls)


def _fixed(params: Mapping[str, Any]) -> dict[str, Any]:
    """The values that need no row: those of columns are left out, or their defaults."""
    known = {name: value.default if isinstance(value, Column) else value for name, value in params.items()}
    return {name: value for name, value in known.items() if value is not None or not isinstance(params[name], Column)}


def _kept(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return tuple(value) if isinstance(value, list) else value


def _fits(value: Any, hint: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if origin is Literal:
        return any(value == arg and type(value) is type(arg) for arg in args)
    if origin is tuple:
        return isinstance(value, list | tuple) and all(_fits(one, args[0]) for one in value)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(_fits(one, args[1]) for one in value.values())
    if hint is Any:
        return True
    if hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(arg) for arg in args)
    if origin is Literal:
        return " or ".join(_value(arg) for arg in args)
    if origin is tuple:
        return f"list of {_words(args[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"mapping to {_words(args[1])}"
    return {type(None): "null", bool: "true or false", Any: "any value"}.get(hint, getattr(hint, "__name__", str(hint)))


def _value(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return "[]" if not value else f"[{', '.join(map(_value, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
