"""Work on the next item while this one is used: one thread, one item ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

S = TypeVar("S")
T = TypeVar("T")

_END: Final = object()


@contextmanager
def prefetched(function: Callable[[S], T], items: Iterable[S]) -> Iterator[Iterator[T]]:
    """``map(function, items)``, computed one item ahead in a thread.

    The next item is read only when the last one was taken, so that two are held at most: one in use, one ahead. An
    exception of the thread is raised where its item would have come. The thread is joined when the block is left:
    one that outlives its Spark task would read the next task's bytes (it reads from the worker's socket).
    """
    ready: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
    taken = threading.Semaphore(0)
    stop = threading.Event()

    def work() -> None:
        try:
            for item in items:
                ready.put((function(item), None))
                taken.acquire()
                if stop.is_set():
                    return
            ready.put((_END, None))
        except BaseException as error:  # handed to the reader, which raises it
            ready.put((None, error))

    def results() -> Iterator[T]:
        while True:
            value, error = ready.get()
            taken.release()
            if error is not None:
                raise error
            if value is _END:
                return
            yield value

    thread = threading.Thread(target=work, name="embercast-encode", daemon=True)
    thread.start()
    try:
        yield results()
    finally:
        stop.set()
        taken.release()
        thread.join()
