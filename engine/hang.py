"""A process that hangs ends itself, so that whoever started it tries again with another."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_STDERR: Final = 2


@contextmanager
def ends_after(seconds: float | None) -> Iterator[None]:
    """Ends the process with exit code 1 where the block takes longer; None lets it take what it takes.

    The clock is faulthandler's: it runs without Python's lock, which a library that hangs may hold. Where every thread
    stands is written to stderr, files and lines alone. There is one clock in a process: blocks are not nested.
    """
    if seconds is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True, file=_STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
