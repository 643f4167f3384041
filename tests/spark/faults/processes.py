"""The processes of a Spark session on this machine: its JVM, the daemon of Python workers, and these."""

from __future__ import annotations

import os
import signal

import psutil


def daemons() -> list[psutil.Process]:
    """The daemons that fork Python workers, of the sessions that this process started."""
    return [
        one
        for java in psutil.Process().children()
        for one in children(java)
        if "pyspark.worker" in " ".join(arguments(one))
    ]


def workers() -> list[psutil.Process]:
    """Every Python process that scores: workers, whose daemon may be gone, and those that they start.

    They are known by this process's own cache, which they inherited: others may run Spark on this machine.
    """
    forking = {one.pid for one in daemons()}
    return [one for one in psutil.process_iter() if one.pid not in forking and _scores(one)]


def _scores(process: psutil.Process) -> bool:
    line = " ".join(arguments(process))
    if "pyspark.worker" not in line and "spawn_main" not in line:
        return False
    try:
        return process.environ().get("EMBERCAST_CACHE") == os.environ["EMBERCAST_CACHE"]
    except psutil.Error:
        return False


def children(process: psutil.Process) -> list[psutil.Process]:
    """What it started; nothing where it ended meanwhile."""
    try:
        return process.children()
    except psutil.NoSuchProcess:
        return []


def arguments(process: psutil.Process) -> list[str]:
    """Its command line; nothing where it ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def kill(process: psutil.Process) -> bool:
    """As the operating system would; whether it was there."""
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
