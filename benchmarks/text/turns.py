"""Processes that are measured by turns: pass by pass, one at work at a time, so that all meet the same noise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, Final, Protocol

from benchmarks.processor import TICK_S
from benchmarks.text.spec import Spec

_ROOT: Final = Path(__file__).resolve().parents[2]
_WORKER: Final = "benchmarks.text.worker"


class Told(Protocol):
    """What a process is told when it starts, in one line."""

    def to_json(self) -> str: ...


def take_turns(
    specs: Mapping[str, Spec], runs: int, folder: Path, tell: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """As ``by_turns``; returns name → ``result``'s dictionary."""

    def words(name: str, passed: Mapping[str, float]) -> str:
        rows = specs[name].rows
        return f"{rows} rows in {passed['s']:.1f} s, {rows / passed['s']:.0f}/s"

    told, passes = by_turns(specs, runs, folder, tell, words=words)
    return {name: result(spec.rows, passes[name], told[name]) for name, spec in specs.items()}


def by_turns(
    specs: Mapping[str, Told],
    runs: int,
    folder: Path,
    tell: Callable[[str], None],
    *,
    words: Callable[[str, Any], str],
    module: str = _WORKER,
) -> tuple[dict[str, dict[str, Any]], dict[str, list[Any]]]:
    """Starts each process and its cold pass, one after another, then ``runs`` times a timed pass of each.

    Args:
        specs: name → what to measure.
        folder: where each process finds a cache of its own, empty when it starts.
        tell: is told what goes on.
        words: what is told of a process's pass.
        module: of the processes; it answers as ``benchmarks.text.worker`` does.

    Returns for each name what it said of its cold pass and at its end, and its passes. Raises RuntimeError with a
    process's last lines where one dies.
    """
    processes: dict[str, Process] = {}
    told: dict[str, dict[str, Any]] = {}
    passes: dict[str, list[Any]] = {name: [] for name in specs}
    try:
        for name, spec in specs.items():
            tell(f"{name}: starts")
            processes[name] = Process(name, spec, folder, module)
            told[name] = processes[name].hear()
        for _ in range(runs):
            for name, process in processes.items():
                passes[name].append(process.ask("pass"))
                tell(f"{name}: {words(name, passes[name][-1])}")
        for name, process in processes.items():
            told[name] |= process.ask("facts")
    except BaseException:
        for process in processes.values():
            process.child.terminate()
        raise
    finally:
        for process in processes.values():
            process.end()
    return told, passes


def result(rows: int, passes: Sequence[Mapping[str, float]], told: Mapping[str, Any]) -> dict[str, Any]:
    """Rows per second of timed passes, median, slowest and fastest, and what else was told.

    A pass has seconds by the clock (``s``), of the processor (``core_s``) and of a pass over few rows (``fixed_s``).
    """
    rates = [rows / one["s"] for one in passes]
    return {
        "rows": rows,
        "rows_per_s": median(rates),
        "spread": [min(rates), max(rates)],
        "rows_per_core_s": median(rows / max(one["core_s"], TICK_S) for one in passes),
        "runs_s": [one["s"] for one in passes],
        "fixed_s": min(one["fixed_s"] for one in passes),
        **told,
    }


class Process:
    """A worker and the two pipes to it."""

    def __init__(self, name: str, spec: Told, folder: Path, module: str) -> None:
        self.log = folder / f"{name}.log"
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
        environment = {
            **os.environ,
            "EMBERCAST_CACHE": tempfile.mkdtemp(dir=folder),
            "PYTHONPATH": path,  # Spark's workers import this too
            "HF_HUB_OFFLINE": "1",
            "SPARK_LOCAL_IP": os.environ.get("SPARK_LOCAL_IP", "127.0.0.1"),
        }
        with self.log.open("w") as errors:
            self.child = subprocess.Popen(
                [sys.executable, "-m", module, spec.to_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                bufsize=1,
                env=environment,
                cwd=folder,
            )

    def ask(self, word: str) -> Any:
        assert self.child.stdin is not None
        with suppress(BrokenPipeError):  # it died; ``hear`` says of what
            self.child.stdin.write(f"{word}\n")
        return self.hear()

    def hear(self) -> Any:
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if not line:
            self.child.wait()
            end = "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-30:])
            raise RuntimeError(f"{self.log.stem} ended with {self.child.returncode}:\n{end}")
        return json.loads(line)

    def end(self) -> None:
        """Ends the process and waits for it."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        with suppress(BrokenPipeError):
            self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait()
