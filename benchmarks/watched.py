"""A number that is read over and over while something is done: what a process holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def watched(look: Callable[[], int], *, every: float) -> Iterator[list[int]]:
    """What ``look`` gives at the start of the block and then ``every`` so many seconds, until it ends."""
    seen, stop = [look()], threading.Event()

    def watch() -> None:
        while not stop.wait(every):
            seen.append(look())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()
