"""Ports of this host, which nothing outside it reaches."""

from __future__ import annotations

import socket
import time
from typing import Final

from demo.cluster.processes import Started
from demo.place import Unfit

HOST: Final = "127.0.0.1"
PATIENCE: Final = 90.0  # seconds: a JVM on a busy machine


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as made:
        made.bind((HOST, 0))
        return int(made.getsockname()[1])


def taken(port: int, what: str) -> int:
    """The port that ``what`` is to have: a free one for 0. Raises Unfit where somebody listens on it already."""
    if port and listens(port):
        raise Unfit(f"expected port {port} of {HOST} free for {what}, it is taken: stop what listens, or name another")
    return port or free_port()


def listens(port: int) -> bool:
    """Whether somebody does."""
    with socket.socket() as tried:
        return tried.connect_ex((HOST, port)) == 0


def wait_for(port: int, started: Started, *, patience: float = PATIENCE) -> None:
    """Returns once the process listens. Raises Unfit where it ended, or does not in ``patience`` seconds."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        started.check()
        if listens(port):
            return
        time.sleep(0.1)
    raise Unfit(
        f"expected {started.name} on port {port} within {patience:.0f} s, it does not listen: see {started.log}"
    )
