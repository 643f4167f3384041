"""A process that hangs ends itself, whatever its threads hold."""

from __future__ import annotations

import subprocess
import sys
import time

from engine.hang import ends_after

_HANGS = """
import re
from engine.hang import ends_after

with ends_after(0.3):
    re.match("(a+)+b", "a" * 60)  # for hours, without letting go of Python's lock
"""


def test_a_process_that_hangs_ends_itself() -> None:
    done = subprocess.run([sys.executable, "-c", _HANGS], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Timeout (0:00:00.300000)!" in done.stderr


def test_what_is_done_in_time_goes_on() -> None:
    with ends_after(0.2):
        pass
    with ends_after(None):
        time.sleep(0.3)
