from __future__ import annotations

import pyarrow as pa

from engine.audio.storage import Storage
from engine.tasks.audio import AudioParams
from tests import recordings
from udfs.lengths import Budget, _lengths, _mapper


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


def test_no_more_bytes_are_kept_than_a_driver_takes() -> None:
    mapper = _mapper((0, None), lambda column, rates: [1.0] * len(column), Budget(total_s=60, one_s=60, nbytes=1000))
    given = [
        pa.record_batch({"0": pa.array([b"x" * size for size in sizes])}) for sizes in ([400, 2000, 400], [300, 50])
    ]
    found = pa.Table.from_batches(mapper(iter(given))).column("0").to_pylist()
    assert [None if one is None else len(one) for one in found] == [400, None, 400, None, 50]


def test_a_header_that_says_more_than_may_be_heard_tells_nothing() -> None:
    lying = bytearray(recordings.flac(recordings.tone(2.0)))
    lying[22:26] = (16_000 * 20_000).to_bytes(4, "big")  # samples in all
    made = pa.array([recordings.flac(recordings.tone(2.0)), bytes(lying)], pa.binary())
    found = _lengths(made, None, AudioParams(max_duration_s=3600.0), Storage())
    assert found == [2.0, None]
