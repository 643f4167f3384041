"""Memory is bounded by seconds of audio, not by the length or the number of recordings.

Measured in a process of its own (``tests.hours``) by the operating system's high-water mark.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.recordings import sparse

ROOT: Final = Path(__file__).parents[3]


def grown(*files: Path) -> int:
    """Bytes of memory that hearing these files took beyond what hearing a second takes."""
    command = [sys.executable, "-m", "tests.hours", *map(str, files)]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="VmHWM is Linux's")
def test_hours_by_path_take_the_memory_of_seconds(tmp_path: Path) -> None:
    """Eight hours are 1.8 GiB as float32; 10 s blocks of two readers and what the resampler holds are a few MiB."""
    files = [sparse(tmp_path / f"{i}.wav", 3600, rate=8_000 if i % 2 else 16_000) for i in range(8)]
    assert grown(*files) <= 64 << 20
