from __future__ import annotations

import pyarrow as pa

from udfs.lengths import Budget, _mapper


def told(column: pa.Array, rates: pa.Array | None) -> list[float | None]:
    """A recording is as many seconds long as its name says; one called unknown has no header."""
    return [None if name == "unknown" else float(name) for name in column.to_pylist()]


def kept(batches: list[list[str]], *, total_s: float, one_s: float) -> tuple[list[str | None], list[float | None]]:
    mapper = _mapper((1, None), told, Budget(total_s=total_s, one_s=one_s))
    given = [
        pa.RecordBatch.from_arrays([pa.array(names, pa.string()), pa.array(names, pa.string())], names=["0", "1"])
        for names in batches
    ]
    found = pa.Table.from_batches(mapper(iter(given)))
    assert found.column("0").to_pylist() == [name for names in batches for name in names]
    return found.column("1").to_pylist(), found.column("2").to_pylist()


def test_recordings_are_kept_until_their_seconds_are_spent() -> None:
    names = ["10", "5", "20", "1", "1"]
    assert kept([names], total_s=16, one_s=60) == (["10", "5", "20", None, None], [10, 5, 20, 1, 1])
    assert kept([names], total_s=15, one_s=60)[0] == ["10", "5", None, None, None]


def test_the_first_is_always_kept_and_a_long_one_counts_for_its_beginning() -> None:
    assert kept([["3600", "3600", "3600"]], total_s=120, one_s=60)[0] == ["3600", "3600", None]
    assert kept([["3600"]], total_s=1, one_s=60)[0] == ["3600"]


def test_an_unknown_length_counts_for_a_window() -> None:
    names = ["unknown", "unknown", "unknown"]
    assert kept([names], total_s=60, one_s=45) == (["unknown", "unknown", None], [None, None, None])


def test_what_is_spent_is_carried_from_batch_to_batch() -> None:
    assert kept([["10", "10"], [], ["10", "10"]], total_s=30, one_s=60)[0] == ["10", "10", "10", None]
