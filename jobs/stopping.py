"""How a run that goes on is told to stop: by a signal, as a terminal, systemd or a scheduler sends it."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

log = logging.getLogger("embercast")

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_signals(stop: threading.Event) -> Iterator[None]:
    """Within the block the first SIGINT or SIGTERM sets ``stop``; a second one does what it did before.

    Runs on the driver. Python takes handlers in its main thread alone: in another, only who holds ``stop`` sets it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, _: Any) -> None:
        back()
        log.info("stops after the commit under way (%s); once more to stop at once", signal.Signals(number).name)
        stop.set()

    for number in _SIGNALS:
        signal.signal(number, handle)
    try:
        yield
    finally:
        back()
