"""What each row of a window asks for: its messages, and its parameters over the definition's. Runs in the worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from engine.chat import messages as read
from engine.chat.decided import Decided
from engine.chat.messages import Message
from engine.chat.params import ChatParams
from engine.chat.request import BY_ROW, parameters
from engine.errors import ParameterError, RowError
from engine.tasks.params import replaced

#: Parameters that are objects or lists of them: a column of strings holds them as JSON.
_JSON: Final = ("template_args", "tools", "logit_bias", "response_format")


@dataclass(frozen=True)
class Asked:
    """What one row asks for.

    Args:
        messages: at least one; the definition's system message is in front where they have none.
        decided: its parameters, the definition's where it has none, and what they come to.
        seed: its own, None where nobody gave one.
    """

    messages: list[Message]
    decided: Decided
    seed: int | None


class Rows:
    """Reads the rows of a window.

    Args:
        task: its name.
        base: the definition's parameters.
        decide: what parameters come to for the loaded model; raises ParameterError.
    """

    def __init__(self, task: str, base: ChatParams, decide: Callable[[ChatParams], Decided]) -> None:
        self.task, self.base, self.decide = task, base, decide
        self._known: dict[str, Decided | RowError] = {}

    def read(self, columns: Mapping[str, pa.Array]) -> list[Asked | RowError]:
        """Each row of the columns, which are input roles and parameters by name; or why it can't be read."""
        whole = [cells(column) for column in columns.values()]
        return [self._row(dict(zip(columns, row, strict=True))) for row in zip(*whole, strict=True)]

    def _row(self, row: dict[str, Any]) -> Asked | RowError:
        try:
            bad = next((cell for cell in row.values() if isinstance(cell, RowError)), None)
            if bad is not None:
                return bad
            value, request = self._messages(row["messages"])
            own = {name: _cell(name, row[name]) for name in BY_ROW if row.get(name) is not None}
            role = parameters(_object(row.get("params")))
            values = {**role, **own, **parameters(request)}
            if "seed" in role and "seed" not in request:  # the column may be a job's, made of the row's key
                values["seed"] = role["seed"]
            if values.get("logprobs") is False:  # the definition may ask for the likeliest tokens, too
                values.setdefault("top_logprobs", 0)
            seed = values.pop("seed", self.base.seed)
            if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
                raise RowError("invalid_parameter", "expected a whole number as seed")
            decided = self._decided(values)
            if isinstance(decided, RowError):
                return decided
            return Asked(read.with_system(read.read_messages(value), decided.params.system), decided, seed)
        except RowError as error:
            return error

    def _messages(self, cell: Any) -> tuple[Any, dict[str, Any]]:
        """What a cell holds as messages, and the parameters of a whole request."""
        if isinstance(cell, str) and self.base.strings == "text":
            return [{"role": "user", "content": cell}], {}
        value = read.parsed(cell) if isinstance(cell, str | bytes) else cell
        if not isinstance(value, dict):
            return value, {}
        if value.get("messages") is None:
            read.refuse("got an object without messages")
        request = dict(value)
        return request.pop("messages"), request

    def _decided(self, values: dict[str, Any]) -> Decided | RowError:
        """What these values over the definition's come to; read once for rows that give the same."""
        key = repr(values)
        if key not in self._known:
            try:
                self._known[key] = self.decide(self._params(values))
            except (ParameterError, OverflowError) as error:
                self._known[key] = RowError("invalid_parameter", self._problem(values, str(error)))
        return self._known[key]

    def _params(self, values: Mapping[str, Any]) -> ChatParams:
        params: ChatParams = replaced(self.task, self.base, {"seed": None, **values})
        return params

    def _problem(self, values: Mapping[str, Any], problem: str) -> str:
        """The definition's own problem in full; of a row's values only the names."""
        if not values:
            return problem
        alone = [name for name, value in values.items() if not self._takes({name: value})]
        names = ", ".join(sorted(alone or values))
        return f"expected values of {names} that {self.task} and this model take: see its parameters"

    def _takes(self, values: Mapping[str, Any]) -> bool:
        try:
            self.decide(self._params(values))
        except (ParameterError, OverflowError):
            return False
        return True


def cells(column: pa.Array) -> list[Any]:
    """The Python values of a column; for a cell with bytes that are not UTF-8, the error of its row."""
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        return [_decoded(cell) for cell in column]
    return values


def _decoded(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return RowError("invalid_text", "expected UTF-8 text, got other bytes: decode the column first")


def _object(cell: Any) -> dict[str, Any]:
    """The role ``params`` of one row."""
    value = _json(cell) if isinstance(cell, str) else _pruned(cell)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RowError("invalid_parameter", 'expected params as an object, {"max_tokens": 20}; got something else')
    return value


def _cell(name: str, cell: Any) -> Any:
    return _json(cell) if name in _JSON and isinstance(cell, str) else _pruned(cell)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RowError("invalid_parameter", "expected JSON as parameters in a column of strings") from None


def _pruned(value: Any) -> Any:
    """A struct without its nulls, which rows with other fields leave in it; a map, which Arrow gives as pairs, too.

    A decimal, as which Spark SQL reads 0.7, is a number.
    """
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: _pruned(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        pairs = bool(value) and all(isinstance(one, tuple) for one in value)
        return _pruned(dict(value)) if pairs else [_pruned(one) for one in value]
    return value
