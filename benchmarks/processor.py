"""Processor seconds of a process and everything it started: what other work on the machine changes least."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

#: The kernel counts in steps of so many seconds.
TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


def core_seconds(root: int) -> float:
    """User and system seconds of a process, its descendants and those of them that have ended. Linux only."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended since it was listed
        pid = int(path.parent.name)
        parents[pid] = int(fields[1])
        ticks[pid] = sum(map(int, fields[11:15]))  # utime, stime, and of children waited for: cutime, cstime
    return sum(count for pid, count in ticks.items() if _descends(pid, root, parents)) * TICK_S


def _descends(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid not in (root, 0):
        pid = parents.get(pid, 0)
    return pid == root
