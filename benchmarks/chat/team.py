"""A way without Spark: processes that wait for rows and answer their shares at once."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.chat import rows as table
from benchmarks.chat.rows import Row
from benchmarks.chat.spec import Spec

#: What another interpreter can run: it imports nothing of the house.
_LLAMA: Final = Path(__file__).with_name("llama.py")


class Team:
    """Processes of a ``Spec``, started and ready."""

    def __init__(self, spec: Spec) -> None:
        self.rows = table.read(spec.rows)[: spec.count]
        self.written: dict[int, list[int]] = {}
        start = time.perf_counter()
        self.members = [subprocess.Popen(_command(spec), **_pipes(spec)) for _ in range(spec.processes)]
        atexit.register(self._end)  # one that is at work would write on when this process is ended
        self.told = self._hear()  # each says when its model is loaded
        self.load_s = time.perf_counter() - start

    def cold(self) -> dict[str, Any]:
        """The seconds until every process had answered a row."""
        start = time.perf_counter()
        self.ready()
        return {"cold_s": self.load_s + time.perf_counter() - start}

    def ready(self) -> None:
        """The shortest answers, one for each process."""
        shortest = sorted(range(len(self.rows)), key=lambda i: self.rows[i].answer)
        self._answer([[shortest[i % len(shortest)]] for i in range(len(self.members))])

    def run(self) -> None:
        """Answers all rows."""
        self.written = self._answer(deal(self.rows, len(self.members)))

    def facts(self) -> dict[str, Any]:
        """What the first process said of itself, and the tokens of the last pass by row."""
        return {**self.told[0], "written": self.written}

    def close(self) -> None:
        for member in self.members:
            assert member.stdin is not None
            member.stdin.close()
        for member in self.members:
            member.wait()

    def _end(self) -> None:
        for member in self.members:
            member.terminate()

    def _answer(self, shares: Sequence[Sequence[int]]) -> dict[int, list[int]]:
        for member, share in zip(self.members, shares, strict=True):
            assert member.stdin is not None
            print(json.dumps(share), file=member.stdin, flush=True)
        found: dict[int, list[int]] = {}
        for share, told in zip(shares, self._hear(), strict=True):
            found |= zip(share, told["written"], strict=True)
        return found

    def _hear(self) -> list[dict[str, Any]]:
        return [_heard(member) for member in self.members]


def deal(made: Sequence[Row], processes: int) -> list[list[int]]:
    """Rows of each process in their order: dealt out by their answers' lengths, so that all have the same work."""
    by_length = sorted(range(len(made)), key=lambda i: made[i].answer)
    return [sorted(by_length[first::processes]) for first in range(processes)]


def _command(spec: Spec) -> Iterable[str]:
    program = [str(_LLAMA)] if spec.kind.startswith("llama") else ["-m", "benchmarks.chat.member"]
    return [spec.python or sys.executable, *program, spec.to_json()]


def _pipes(spec: Spec) -> dict[str, Any]:
    threads = str(spec.threads)
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads}
    if spec.python:
        environment.pop("PYTHONPATH", None)  # of this interpreter's packages
    return {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1, "env": environment}


def _heard(member: subprocess.Popen[str]) -> dict[str, Any]:
    assert member.stdout is not None
    line = member.stdout.readline()
    if not line:
        raise RuntimeError(f"a process ended with {member.wait()}: what it said last stands above")
    told: dict[str, Any] = json.loads(line)
    return told
