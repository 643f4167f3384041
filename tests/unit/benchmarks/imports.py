"""What importing modules brings along, seen in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]


def brought(modules: str, *, among: set[str]) -> list[str]:
    """Of the packages ``among`` those that ``import modules`` imports."""
    code = f"import sys, {modules}; print(*sorted({among!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_ROOT)
    return done.stdout.split()
