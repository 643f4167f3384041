"""One item ahead, in order, and no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from engine.prefetch import prefetched


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "embercast-encode"]


def test_results_come_in_order() -> None:
    with prefetched(lambda i: i * i, range(50)) as found:
        assert list(found) == [i * i for i in range(50)]
    assert threads() == []


def test_no_items_give_no_results() -> None:
    with prefetched(str, []) as found:
        assert list(found) == []


def test_the_next_item_is_made_while_this_one_is_used_and_none_after_it() -> None:
    read: list[int] = []
    made = {item: threading.Event() for item in range(3)}

    def source() -> Iterator[int]:
        for item in made:
            read.append(item)
            yield item

    def make(item: int) -> int:
        made[item].set()
        return item

    with prefetched(make, source()) as found:
        for item in (0, 1):
            assert next(found) == item
            assert made[item + 1].wait(30)  # nobody has asked for it yet
            if item == 0:
                assert not made[2].wait(0.2)  # its turn comes when item 1 is taken
                assert read == [0, 1]


def test_an_error_of_the_function_comes_where_its_item_would_have() -> None:
    def make(item: int) -> int:
        if item == 2:
            raise ValueError("item 2")
        return item

    with prefetched(make, range(5)) as found:
        assert [next(found), next(found)] == [0, 1]
        with pytest.raises(ValueError, match="item 2"):
            next(found)
    assert threads() == []


def test_an_error_of_the_source_comes_after_what_it_gave() -> None:
    def source() -> Iterator[int]:
        yield 0
        raise OSError("the socket broke")

    with prefetched(lambda i: i, source()) as found:
        assert next(found) == 0
        with pytest.raises(OSError, match="the socket broke"):
            next(found)


def test_an_error_of_the_reader_ends_the_thread() -> None:
    def read() -> None:
        with prefetched(lambda i: i, iter(int, 1)) as found:
            next(found)
            raise RuntimeError("the reader")

    with pytest.raises(RuntimeError, match="the reader"):
        read()
    assert threads() == []


def test_a_reader_that_stops_early_ends_the_thread() -> None:
    read: list[int] = []

    def source() -> Iterator[int]:
        for item in range(10**9):
            read.append(item)
            yield item

    with prefetched(lambda i: i, source()) as found:
        assert [next(found), next(found)] == [0, 1]
    assert threads() == []
    assert len(read) <= 5


def test_a_block_that_reads_nothing_ends_the_thread() -> None:
    with prefetched(lambda i: i, iter(int, 1)):
        pass
    assert threads() == []
