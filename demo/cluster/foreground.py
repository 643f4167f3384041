"""What a command starts and holds in the foreground, until Ctrl-C or SIGTERM stops all of it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from demo.cluster.processes import Processes
from demo.place import Unfit

ENDING: Final = (signal.SIGINT, signal.SIGTERM)


def until_stopped(work: Callable[[], None]) -> int:
    """Does the work, which holds what it started. The exit code: 0 once it was stopped, 2 where it can't start."""
    for one in ENDING:
        signal.signal(one, _end)
    try:
        work()
    except KeyboardInterrupt:
        print("stopped", flush=True)
    except Unfit as unfit:
        print(unfit, file=sys.stderr)
        return 2
    return 0


def hold(processes: Processes) -> None:
    """Until a signal comes. A process that ends meanwhile is told, and the others go on."""
    ended = set()
    while True:
        time.sleep(1)
        for one in processes.started:
            if one.process.poll() is not None and one.name not in ended:
                ended.add(one.name)
                print(f"{one.name} ended with {one.process.returncode}: see {one.log}", flush=True)


def _end(number: int, frame: FrameType | None) -> None:
    for one in ENDING:
        signal.signal(one, signal.SIG_IGN)  # a second Ctrl-C would leave processes behind
    raise KeyboardInterrupt
