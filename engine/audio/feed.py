"""Pieces of many recordings, made in threads beside the device; few wait, so memory is bounded by seconds of audio."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from engine.batching import row_error
from engine.errors import RowError


class Piece(NamedTuple):
    """A piece of a recording.

    Args:
        item: which recording.
        value: what was made of its samples; None where it has ended.
        error: why it has ended before its time.
    """

    item: int
    value: Any
    error: RowError | None = None


@contextmanager
def feed(
    items: Iterable[int],
    pieces: Callable[[int], Iterable[Any]],
    *,
    threads: int,
    ahead: int,
    weight: Callable[[Any], int] = lambda value: 1,
) -> Iterator[Iterator[Piece]]:
    """The pieces of every recording, each recording's in order, those of ``threads`` recordings mixed.

    After its last piece a recording gives one whose value is None. What ``pieces`` raises ends that recording with an
    error, and no other. The threads are joined when the block is left: they read what the task owns. Values that were
    made and not taken are closed then, where they can be.

    Args:
        items: the recordings.
        pieces: what makes the pieces of one; runs in a thread.
        threads: recordings that are read at once.
        ahead: pieces that wait at most.
        weight: of how many pieces one takes the place while it waits.
    """
    ready: queue.SimpleQueue[tuple[Piece, int] | BaseException | None] = queue.SimpleQueue()
    room = threading.Semaphore(ahead)
    stop = threading.Event()
    waiting, lock, entrance = iter(items), threading.Lock(), threading.Lock()

    def put(piece: Piece) -> bool:
        places = 1 if piece.value is None else min(ahead, weight(piece.value))
        with entrance:  # one after the other: two that have half their places each would wait for ever
            for _ in range(places):
                room.acquire()
        if stop.is_set():
            _close(piece)
            return False
        ready.put((piece, places))
        return True

    def read(item: int) -> None:
        try:
            for value in pieces(item):
                if not put(Piece(item, value)):
                    return
        except Exception as error:
            put(Piece(item, None, row_error(error, "invalid_audio")))
        else:
            put(Piece(item, None))

    def work() -> None:
        try:
            while not stop.is_set():
                with lock:
                    item = next(waiting, None)
                if item is None:
                    break
                read(item)
        except BaseException as error:  # handed to the reader, which raises it
            ready.put(error)
        else:
            ready.put(None)

    def results() -> Iterator[Piece]:
        running = threads
        while running:
            found = ready.get()
            if isinstance(found, BaseException):
                raise found
            if found is None:
                running -= 1
                continue
            piece, places = found
            room.release(places)
            yield piece

    workers = [threading.Thread(target=work, name=f"embercast-audio-{i}", daemon=True) for i in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield results()
    finally:
        stop.set()
        room.release(threads * ahead)
        for worker in workers:
            worker.join()
        while not ready.empty():
            left = ready.get()
            if isinstance(left, tuple):
                _close(left[0])


def _close(piece: Piece) -> None:
    close = getattr(piece.value, "close", None)
    if close is not None:
        close()
