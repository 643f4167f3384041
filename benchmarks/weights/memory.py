"""What processes hold in memory, as Linux tells: bytes of their own, mapped files left out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Watched:
    """The most that was seen, in bytes."""

    most: int = 0


def anonymous(pid: int | str = "self") -> int:
    """Bytes that no file stands behind: what a process has written itself."""
    return _field(Path(f"/proc/{pid}/status"), "RssAnon")


def highest(pid: int) -> int:
    """The most bytes a process ever had in memory, code and mapped files counted."""
    return _field(Path(f"/proc/{pid}/status"), "VmHWM")


def shares(pid: int | str = "self") -> dict[str, int]:
    """A process's bytes: ``private``, and ``pss``, in which a page of n processes counts one n-th."""
    smaps = Path(f"/proc/{pid}/smaps_rollup")
    return {
        "private": _field(smaps, "Private_Clean") + _field(smaps, "Private_Dirty"),
        "pss": _field(smaps, "Pss"),
    }


@contextmanager
def watched() -> Iterator[Watched]:
    """This process's anonymous bytes, a hundred times a second while the block runs."""
    seen, stop = Watched(anonymous()), threading.Event()

    def watch() -> None:
        while not stop.wait(0.01):
            seen.most = max(seen.most, anonymous())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


def _field(file: Path, name: str) -> int:
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise ValueError(f"expected {name} in {file}, it is not there: this needs Linux")
