"""A partition takes the memory of a few windows, however many windows it has.

Measured in a process of its own by the operating system's high-water mark (``VmHWM``): ``ru_maxrss`` would count what
the tests' process held when it started the child.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests import memory

ROOT: Final = Path(__file__).parents[2]


def peak(windows: int) -> int:
    """Bytes of memory that a process took at most, which scored a partition of that many windows."""
    command = [sys.executable, "-m", "tests.memory", str(windows)]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="VmHWM is Linux's")
def test_ten_times_the_rows_take_no_more_memory() -> None:
    """36 windows more would be 36 windows of memory if they were kept. Three are left for chance: whether two threads
    hold the most at one moment, and what allocators keep.
    """
    few, many = peak(4), peak(40)
    assert many - few <= 3 * memory.WINDOW_BYTES
