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

    An exception of the thread is raised where its item would have come. The thread is joined when the block is left:
    one that outlives its Spark task would read the next task's bytes (it reads from the worker's socket).
    """
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(value: Any, error: BaseException | None = None) -> bool:
        while not stop.is_set():
            try:
                ready.put((value, error), timeout=0.05)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if stop.is_set() or not put(function(item)):
                    return
            put(_END)
        except BaseException as error:  # handed to the reader, which raises it
            put(None, error)

    def results() -> Iterator[T]:
        while True:
            value, error = ready.get()
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
        thread.join()
