"""A table as a row holds it, JSON or an array of structs, to columns and cells of text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from engine.errors import RowError

_EXPECTED: Final = 'expected a table as a list of rows, [{"city": "Rome"}], or of columns, {"city": ["Rome"]}'


@dataclass(frozen=True)
class Table:
    """A table's text: names of its columns, and for each row a cell a column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def read_table(value: Any) -> Table:
    """Reads one table.

    Cells are text as Python's ``str`` writes them, so that 1 and 1.0 stay apart; null, and a key that a row lacks, are
    an empty cell. Columns stand in the order in which they are first named.

    Args:
        value: JSON text or its bytes, or what Arrow makes of a list of structs or maps; rows of {column: cell}, or
            columns of {column: cells}.

    Raises RowError(invalid_table) for anything else and for a table without cells.
    """
    if isinstance(value, str | bytes):
        value = _parsed(value)
    table = _of_columns(value) if isinstance(value, dict) else _of_rows(value)
    if not table.columns or not table.rows:
        _refuse("got one without cells")
    return table


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        _refuse("got text that is not JSON")


def _of_columns(columns: dict[str, Any]) -> Table:
    if not all(isinstance(cells, list) for cells in columns.values()):
        _refuse("got a column that is not a list")
    if len({len(cells) for cells in columns.values()}) > 1:
        _refuse("got columns of different lengths")
    rows = zip(*columns.values(), strict=True)
    return Table(tuple(columns), tuple(tuple(map(_text, row)) for row in rows))


def _of_rows(rows: Any) -> Table:
    if not isinstance(rows, list):
        _refuse("got a single value")
    named = [_named(row) for row in rows]
    columns = tuple(dict.fromkeys(name for row in named for name in row))
    return Table(columns, tuple(tuple(_text(row.get(name)) for name in columns) for row in named))


def _named(row: Any) -> dict[str, Any]:
    if isinstance(row, dict):
        return row
    if not isinstance(row, list) or not all(isinstance(pair, tuple) for pair in row):
        _refuse("got a row that is no object")
    return {_text(name): cell for name, cell in row}  # Arrow's maps are lists of pairs


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _refuse(got: str) -> NoReturn:
    raise RowError("invalid_table", f"{_EXPECTED}, {got}")
