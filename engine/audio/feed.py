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
    items: Iterable[int], pieces: Callable[[int], Iterable[Any]], *, threads: int, ahead: int
) -> Iterator[Iterator[Piece]]:
    """The pieces of every recording, each recording's in order, those of ``threads`` recordings mixed.

    After its last piece a recording gives one whose value is None. What ``pieces`` raises ends that recording with an
    error, and no other. The threads are joined when the block is left: they read what the task owns.

    Args:
        items: the recordings.
        pieces: what makes the pieces of one; runs in a thread.
        threads: recordings that are read at once.
        ahead: pieces that wait at most.
    """
    ready: queue.SimpleQueue[Piece | BaseException | None] = queue.SimpleQueue()
    room = threading.Semaphore(ahead)
    stop = threading.Event()
    waiting, lock = iter(items), threading.Lock()

    def put(piece: Piece) -> bool:
        room.acquire()
        if not stop.is_set():
            ready.put(piece)
        return not stop.is_set()

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
            piece = ready.get()
            if isinstance(piece, BaseException):
                raise piece
            if piece is None:
                running -= 1
                continue
            room.release()
            yield piece

    workers = [threading.Thread(target=work, name=f"embercast-audio-{i}", daemon=True) for i in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield results()
    finally:
        stop.set()
        room.release(threads)
        for worker in workers:
            worker.join()
