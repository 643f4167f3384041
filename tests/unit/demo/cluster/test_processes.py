"""Processes of a cluster, played by small ones: what is started is stopped, and whoever ends says why."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from demo.cluster.ports import free_port, taken, wait_for
from demo.cluster.processes import Processes
from demo.place import Unfit

#: Starts another one, and waits.
PARENT = "import subprocess, sys, time; subprocess.Popen(['sleep', '60']); print('up', flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
#: Adds its name to a file as it ends.
NOTING = """
import signal, sys, time

def end(*_):
    with open(sys.argv[1], "a") as order:
        order.write(sys.argv[2])
    sys.exit()

signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(60)
"""


def test_what_was_started_ends_with_all_that_it_started(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    one = processes.start("one", [sys.executable, "-c", PARENT])
    says(tmp_path / "one.log", "up")
    there = [psutil.Process(one.process.pid), *psutil.Process(one.process.pid).children()]
    assert len(there) == 2
    processes.stop()
    assert one.process.returncode == -signal.SIGTERM
    gone, alive = psutil.wait_procs(there, timeout=5)
    assert (len(gone), alive) == (2, [])


def test_the_last_one_ends_first(tmp_path: Path) -> None:
    script = tmp_path / "noting.py"
    script.write_text(NOTING, encoding="utf-8")
    processes = Processes(tmp_path)
    for name in ("a", "b"):
        processes.start(name, [sys.executable, str(script), str(tmp_path / "order"), name])
        says(tmp_path / f"{name}.log", "up")
    processes.stop()
    assert (tmp_path / "order").read_text() == "ba"


def test_one_that_does_not_listen_to_a_signal_is_ended_by_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.cluster.processes.GRACE", 0.2)
    processes = Processes(tmp_path)
    one = processes.start("deaf", [sys.executable, "-c", DEAF])
    says(tmp_path / "deaf.log", "up")
    processes.stop()
    assert one.process.returncode == -signal.SIGKILL


def test_one_that_ends_is_told_with_what_it_said(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    one = processes.start("one", [sys.executable, "-c", "print('no room'); raise SystemExit(3)"])
    with pytest.raises(Unfit, match=r"expected one to run, it ended with 3: see .*one\.log\nno room"):
        wait_for(free_port(), one)
    processes.stop()


def test_nothing_of_the_starter_is_found_by_accident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("EMBERCAST_CACHE", "/nowhere")
    monkeypatch.setenv("OTHER", "kept")
    program = (
        "import os; print(*(os.environ.get(name) for name in ('PYTHONPATH', 'EMBERCAST_CACHE', 'OTHER', 'GIVEN')))"
    )
    processes = Processes(tmp_path)
    processes.start("one", [sys.executable, "-c", program], env={"GIVEN": "1"}).process.wait(20)
    assert (tmp_path / "one.log").read_text().split() == ["None", "None", "kept", "1"]


def test_a_port_that_is_taken_is_told() -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Unfit, match=f"expected port {port} of 127.0.0.1 free for MLflow, it is taken"):
            taken(port, "MLflow")
    assert taken(0, "MLflow") > 0


def says(log: Path, word: str) -> None:
    """Until a process has said a word."""
    until = time.monotonic() + 20
    while word not in log.read_text():
        assert time.monotonic() < until
        time.sleep(0.02)
