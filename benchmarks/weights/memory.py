"""What processes hold in memory, as Linux tells: bytes of their own, mapped files left out."""

from __future__ import annotations

from pathlib import Path


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


def _field(file: Path, name: str) -> int:
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise ValueError(f"expected {name} in {file}, it is not there: this needs Linux")
