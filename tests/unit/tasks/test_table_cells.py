"""Tables as rows hold them, read."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from engine.errors import RowError
from engine.tasks.table_cells import Table, read_table


@pytest.mark.parametrize(
    ("value", "columns", "rows"),
    [
        ('[{"a": "x", "b": 1}, {"a": "y", "b": 1.0}]', ("a", "b"), (("x", "1"), ("y", "1.0"))),
        ('{"a": ["x", "y"], "b": [true, null]}', ("a", "b"), (("x", "True"), ("y", ""))),
        ('[{"a": 1}, {"b": 2}, {}]', ("a", "b"), (("1", ""), ("", "2"), ("", ""))),
        ([{"a": date(2026, 1, 2), "b": None}], ("a", "b"), (("2026-01-02", ""),)),
        ([[("a", 36542), ("b", "é")]], ("a", "b"), (("36542", "é"),)),
    ],
)
def test_tables_of_every_shape(value: Any, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None:
    assert read_table(value) == Table(columns, rows)


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("city: Rome", "text that is not JSON"),
        ("[" * 100_000, "text that is not JSON"),
        ("", "text that is not JSON"),
        ("[]", "one without cells"),
        ("{}", "one without cells"),
        ("[{}, {}]", "one without cells"),
        ('{"a": []}', "one without cells"),
        ([], "one without cells"),
        ('"Rome"', "a single value"),
        ("null", "a single value"),
        ('["Rome"]', "a row that is no object"),
        ("[[1, 2]]", "a row that is no object"),
        ([None], "a row that is no object"),
        ('{"a": "x"}', "a column that is not a list"),
        ('{"a": [1], "b": [1, 2]}', "columns of different lengths"),
    ],
)
def test_what_is_no_table_is_told_without_its_text(value: Any, got: str) -> None:
    with pytest.raises(RowError) as raised:
        read_table(value)
    assert raised.value.code == "invalid_table"
    assert raised.value.message.endswith(f", got {got}")
    assert raised.value.message.startswith('expected a table as a list of rows, [{"city": "Rome"}]')


def test_json_of_pandas_is_read() -> None:
    """As ``DataFrame.to_json`` writes it with these orients."""
    import pandas as pd

    frame = pd.DataFrame({"city": ["Rome", "Oslo"], "people": [2_800_000, 700_000]})
    rows = read_table(frame.to_json(orient="records"))
    assert rows == read_table(json.dumps(frame.to_dict(orient="list")))
    assert rows == Table(("city", "people"), (("Rome", "2800000"), ("Oslo", "700000")))
