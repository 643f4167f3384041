"""How long texts become in a trial: bounded, wherever a job or its rows say it. Runs on the driver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from engine.generation.lengths import NEW_TOKENS
from engine.models.folder import read_json
from engine.options import Column
from engine.tasks import task_class

if TYPE_CHECKING:
    import pyarrow as pa

    from jobs.resolved import Resolved

#: Parameters that say how long a text may become: the task's own one, and those that rows give as a request has them.
_OWN: Final = ("max_tokens", "max_new_tokens")
_MOST: Final = (*_OWN, "max_completion_tokens")
_BOUNDS: Final = (*_MOST, "min_tokens", "min_new_tokens")


@dataclass(frozen=True)
class Bounds:
    """What a trial writes at most.

    Args:
        texts: of all rows that are tried.
        tokens: of each text.
    """

    texts: int
    tokens: int


#: Some thousand steps for a small model on a CPU, twice: seconds.
_ON_CPU: Final = Bounds(texts=16, tokens=32)
_ON_GPU: Final = Bounds(texts=64, tokens=128)


@dataclass(frozen=True)
class Shortened:
    """A job and rows of which no text becomes longer than ``cap`` tokens; ``most``: that it may have in a run."""

    resolved: Resolved
    rows: pa.Table
    cap: int
    most: int


def limit_of(task: str) -> str | None:
    """The parameter that bounds what a task writes; None for a task that writes no texts."""
    names = {field.name for field in fields(task_class(task).Params)}
    return next((name for name in _OWN if name in names), None)


def rows_of(resolved: Resolved) -> int:
    """Rows of a trial at most."""
    return _bounds(resolved).texts


def shortened(resolved: Resolved, rows: pa.Table) -> Shortened:
    """The same job and rows, with the bounds of a trial wherever they say how long texts may become."""
    name, cap, params = limit_of(resolved.model.task) or "", _bounds(resolved).tokens, dict(resolved.model.params)
    rows = rows.slice(0, _few(resolved, rows))
    most = [_default(resolved)] * rows.num_rows
    for bound in (name, *(other for other in _BOUNDS if other != name)):
        value = params.get(bound)
        if isinstance(value, Column):
            cells = [value.default if cell is None else cell for cell in rows.column(value.name).to_pylist()]
            fewest = [cap if cell is None and bound == name else cell for cell in cells]
            rows = _with(rows, value.name, [_least(cell, cap) for cell in fewest])
        elif bound == name:
            cells = [value] * rows.num_rows
            params[name] = cap if value is None else min(value, cap)
        else:
            params |= {} if value is None else {bound: min(value, cap)}
        if bound == name:
            most = [_first(cell, before) for cell, before in zip(cells, most, strict=True)]
    for column, requests in _requests(resolved, rows):
        most = [_first(_asked(one), before) for one, before in zip(requests, most, strict=True)]
        rows = _with(rows, column, [_capped(cell, one, cap) for cell, one in zip(rows[column], requests, strict=True)])
    model = replace(resolved.model, params=params)
    return Shortened(replace(resolved, model=model), rows, cap, max(most, default=cap))


def _bounds(resolved: Resolved) -> Bounds:
    return _ON_CPU if resolved.model.device.value == "cpu" else _ON_GPU


def _few(resolved: Resolved, rows: pa.Table) -> int:
    """How many of the first rows have no more texts than a trial writes; at least one."""
    return max(1, sum(texts <= _bounds(resolved).texts for texts in accumulate(_texts(resolved, rows))))


def _texts(resolved: Resolved, rows: pa.Table) -> list[int]:
    """How many texts each row asks for: the turns of a conversation that is rolled forward, or ``n``."""
    params, column = resolved.model.params, resolved.inputs.get("messages")
    if params.get("roll_forward") and column is not None:
        return [_turns(_value(cell)) for cell in rows.column(column)]
    n = params.get("n")
    asked = [n] * rows.num_rows
    if isinstance(n, Column):
        asked = [_first(cell, n.default) for cell in rows.column(n.name).to_pylist()]
    for _, requests in _requests(resolved, rows):
        asked = [_first(request.get("n"), before) for request, before in zip(requests, asked, strict=True)]
    return [max(1, _first(one, 1)) for one in asked]


def _requests(resolved: Resolved, rows: pa.Table) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The columns that hold requests or a row's parameters, with what each row has there."""
    for column in (resolved.inputs[role] for role in ("params", "messages") if role in resolved.inputs):
        yield column, [_request(cell) for cell in rows.column(column)]


def _turns(value: Any) -> int:
    """Answers that a conversation may need: one for what a user says, each time."""
    messages = value.get("messages") if isinstance(value, dict) else value
    said = [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    return max(1, len([one for one in said if one.get("role") == "user"]))


def _default(resolved: Resolved) -> int:
    own = read_json(resolved.model.bundle.path / "generation_config.json").get("max_new_tokens")
    return own if isinstance(own, int) else NEW_TOKENS


def _with(rows: pa.Table, name: str, cells: list[Any]) -> pa.Table:
    """The rows with other cells in a column, values or scalars."""
    import pyarrow as pa

    field = rows.schema.field(name)
    return rows.set_column(rows.column_names.index(name), field, pa.chunked_array([pa.array(cells, field.type)]))


def _asked(request: dict[str, Any]) -> int | None:
    """How long a request lets its text become, where it says it."""
    return next((request[name] for name in reversed(_MOST) if _number(request.get(name))), None)


def _capped(cell: pa.Scalar, request: dict[str, Any], cap: int) -> pa.Scalar:
    """A request, a struct or JSON, with its bounds lowered; anything else as it is."""
    import pyarrow as pa

    if not any(_number(request.get(name)) for name in _BOUNDS):
        return cell
    lowered = {name: _least(value, cap) if name in _BOUNDS else value for name, value in request.items()}
    return pa.scalar(lowered if pa.types.is_struct(cell.type) else json.dumps(lowered), cell.type)


def _request(cell: pa.Scalar) -> dict[str, Any]:
    value = _value(cell)
    return value if isinstance(value, dict) else {}


def _value(cell: pa.Scalar) -> Any:
    """What a cell holds, JSON or not; None for what the task tells an error of."""
    try:
        value = cell.as_py()
        return json.loads(value) if isinstance(value, str) and value.lstrip()[:1] in ("{", "[") else value
    except (ValueError, RecursionError):
        return None


def _least(value: Any, cap: int) -> Any:
    return min(value, cap) if _number(value) else value


def _first(value: Any, default: Any) -> Any:
    return value if _number(value) else default


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
