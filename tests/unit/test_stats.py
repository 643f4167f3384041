from __future__ import annotations

from dataclasses import fields

import pytest

from engine.schema import STATS
from engine.stats import Stats


def test_stats_are_the_fields_of_the_schema() -> None:
    assert [field.name for field in fields(Stats)] == [field.name for field in STATS.fields]


def test_the_first_row_carries_the_figures() -> None:
    column = Stats(rows=3, tokens=20, forward_s=0.5).column(3)
    assert column.type == STATS
    first, *others = column.to_pylist()
    assert (first["rows"], first["tokens"], first["forward_s"], first["failed"]) == (3, 20, 0.5, 0)
    assert others == [None, None]


def test_time_adds_up_and_counts_blocks_that_raise() -> None:
    stats = Stats(encode_s=100.0)
    with stats.timed("encode"):
        pass
    once = stats.encode_s
    with pytest.raises(ValueError, match="inside"), stats.timed("encode"):
        raise ValueError("inside")
    assert 100.0 < once < stats.encode_s
    assert stats.forward_s == 0.0
