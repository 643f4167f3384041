"""Batches out of a pool: which recordings share one, and how they are padded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.audio.heard import Heard, batches, stacked


def heard(item: int, length: int) -> Heard:
    arrays = {
        "input_values": np.arange(1, length + 1, dtype=np.float32),
        "attention_mask": np.ones(length, np.int32),
    }
    return Heard(item, arrays, length, False, length)


def costs(lengths: list[int], budget: int, *, pool: int = 10**6, overhead: int = 0) -> list[list[int]]:
    found = batches((heard(i, one) for i, one in enumerate(lengths)), budget, pool=pool, overhead=overhead)
    return [[one.cost for one in batch] for batch in found]


def test_without_padding_only_equal_lengths_share_a_batch() -> None:
    assert costs([5, 7, 5, 6, 7, 5], 100) == [[7, 7], [6], [5, 5, 5]]
    assert costs([5] * 5, 15) == [[5, 5, 5], [5, 5]]
    assert costs([50, 5], 15) == [[50], [5]]


def test_padding_is_taken_where_a_batch_more_costs_more() -> None:
    assert costs([5, 7, 5, 6, 7, 5], 100, overhead=10) == [[7, 7, 6, 5, 5, 5]]
    assert costs([100, 5, 5, 6], 1000, overhead=10) == [[100], [6, 5, 5]]


def test_a_pool_holds_no_more_than_it_may() -> None:
    taken: list[int] = []

    def source() -> Iterator[Heard]:
        for i, length in enumerate([5, 7, 5, 7, 5]):
            taken.append(i)
            yield heard(i, length)

    found = batches(source(), 100, pool=20, overhead=0)
    assert [one.item for one in next(found)] == [1, 3]
    assert taken == [0, 1, 2, 3]
    assert [[one.item for one in batch] for batch in found] == [[0, 2], [4]]


def test_no_recordings_make_no_batch() -> None:
    assert costs([], 100) == []


def test_padding_stands_at_the_end_and_is_masked() -> None:
    made = stacked([heard(0, 3).arrays, heard(1, 1).arrays], 0.5)
    assert made["input_values"].tolist() == [[1.0, 2.0, 3.0], [1.0, 0.5, 0.5]]
    assert made["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert (made["input_values"].dtype, made["attention_mask"].dtype) == (np.float32, np.int32)


def test_frames_are_padded_in_time_alone() -> None:
    frames = [{"input_features": np.ones((n, 2), np.float32)} for n in (1, 2)]
    assert stacked(frames, 0.0)["input_features"].tolist() == [[[1, 1], [0, 0]], [[1, 1], [1, 1]]]
