"""Processor seconds are those of a process and of what it started."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.processor import core_seconds

BURN = "import time\nwhile time.process_time() < 0.4: pass\n"


def test_work_of_a_living_grandchild_and_of_an_ended_child_is_counted() -> None:
    code = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {BURN!r}], check=True)\n"  # ended and waited for
        f"child = subprocess.Popen([sys.executable, '-c', {BURN!r} + 'print(1, flush=True); input()'], stdin=-1)\n"
        "input(); child.communicate(b'x\\n')\n"
    )
    started = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert started.stdout is not None
    assert started.stdout.readline() == b"1\n"
    found = core_seconds(started.pid)
    started.communicate(b"x\n")
    assert 0.75 <= found < 3


def test_work_of_others_is_not_counted() -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    before = core_seconds(other.pid)
    time_spent = time.process_time()
    while time.process_time() < time_spent + 0.2:
        pass
    assert core_seconds(other.pid) - before < 0.15
    other.communicate(b"x\n")
