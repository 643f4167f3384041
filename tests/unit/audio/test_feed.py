"""The feed with made-up pieces: their order, their number, errors, and that no thread is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from engine.audio.feed import feed
from engine.tasks import audio


def readers() -> int:
    return sum(one.name.startswith("embercast-audio") for one in threading.enumerate())


def settled(count: list[Any]) -> int:
    """The count when it has stopped to grow."""
    before = -1
    while before != len(count):
        before = len(count)
        time.sleep(0.05)
    return before


def test_pieces_of_a_recording_keep_their_order_and_an_end() -> None:
    with feed(range(5), lambda item: range(item), threads=2, ahead=3) as fed:
        found = list(fed)

    for item in range(5):
        assert [piece.value for piece in found if piece.item == item] == [*range(item), None]
    assert readers() == 0


def test_an_error_ends_its_recording_alone() -> None:
    def pieces(item: int) -> Iterator[int]:
        yield 1
        if item == 1:
            raise ValueError("half way")
        yield 2

    with feed(range(3), pieces, threads=2, ahead=9) as fed:
        found = list(fed)

    assert [(piece.value, piece.error and piece.error.code) for piece in found if piece.item == 1] == [
        (1, None),
        (None, "invalid_audio"),
    ]
    assert sum(piece.value == 2 for piece in found) == 2


@pytest.mark.parametrize(("weight", "waiting"), [(1, 6), (3, 2), (99, 1)])
def test_few_pieces_wait(weight: int, waiting: int) -> None:
    """Two more are made, and held by the readers that wait for room."""
    made: list[int] = []

    def pieces(item: int) -> Iterator[int]:
        for i in range(20):
            made.append(i)
            yield i

    with feed(range(2), pieces, threads=2, ahead=6, weight=lambda value: weight) as fed:
        assert settled(made) == waiting + 2
        next(fed)
        assert settled(made) == waiting + 3
        assert sum(piece.value is not None for piece in fed) == 39


def test_readers_that_wait_for_room_are_joined() -> None:
    begun: list[int] = []
    closed: list[int] = []

    def pieces(item: int) -> Iterator[int]:
        try:
            begun.append(item)
            yield from range(100)
        finally:
            closed.append(item)

    with feed(range(9), pieces, threads=2, ahead=4, weight=lambda value: 3) as fed:
        next(fed)

    assert readers() == 0
    assert sorted(closed) == sorted(begun)


def test_what_is_no_error_of_a_recording_is_raised() -> None:
    def pieces(item: int) -> Iterator[int]:
        raise KeyboardInterrupt
        yield 1

    with pytest.raises(KeyboardInterrupt), feed(range(2), pieces, threads=2, ahead=4) as fed:
        list(fed)
    assert readers() == 0


def test_values_that_nobody_takes_are_closed() -> None:
    class Value:
        closed = 0

        def close(self) -> None:
            self.closed += 1

    made: list[Value] = []

    def pieces(item: int) -> Iterator[Value]:
        for _ in range(9):
            made.append(Value())
            yield made[-1]

    with feed(range(3), pieces, threads=2, ahead=4) as fed:
        taken = next(fed).value
        settled(made)

    assert [one.closed for one in made] == [int(one is not taken) for one in made]
    assert len(made) == 7


@pytest.mark.parametrize(
    ("device", "recordings", "threads"), [("cpu", 9, 2), ("cuda:1", 9, 8), ("cuda:1", 3, 3), ("cpu", 0, 1)]
)
def test_readers_feed_a_gpu_by_all_of_a_tasks_cores(
    device: str, recordings: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 8)
    assert audio.readers(device, recordings) == threads
