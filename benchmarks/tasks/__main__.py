"""python -m benchmarks.tasks: the engine against the stock pipeline, task by task. See benchmarks/README.md."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.command import Tell, carry_out, some_of
from benchmarks.tasks.case import WAYS
from benchmarks.tasks.rows import KINDS
from benchmarks.text.report import show

_TASKS = tuple(KINDS)


def main(arguments: list[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    if asked.quick:
        asked.texts, asked.rival_texts, asked.runs = 200, 40, 1
    carry_out(lambda tell: _measure(asked, tell), asked.save)


def _measure(asked: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    from benchmarks.tasks.case import Settings, run

    given = {name: getattr(asked, name) for name in ("tasks", "texts", "rival_texts", "runs", "only", "dtype")}
    report = run(Settings(**given), tell)
    show(report)
    return report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tasks", description=__doc__)
    add = parser.add_argument
    add("--tasks", type=some_of(_TASKS), default=_TASKS, help=f"some of: {', '.join(_TASKS)}")
    add("--texts", type=int, default=10_000, help="rows for the engine where a row has 27 tokens; fewer of longer rows")
    add("--rival-texts", type=int, default=2_000, help="the first so many of them for the pipelines, which are slower")
    add("--runs", type=int, default=3, help="timed passes of each way")
    add("--only", type=some_of(WAYS), default=WAYS, help=f"some of: {', '.join(WAYS)}")
    add("--dtype", default="auto", help="of the engine: auto, float32, bfloat16, float16")
    add("--quick", action="store_true", help="a small smoke run, whose figures mean nothing")
    add("--save", type=Path, help="write the JSON there as well: benchmarks/results/<name>.json")
    return parser


if __name__ == "__main__":
    main()
