"""python -m benchmarks.text: the ways of scoring texts, measured. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.text.ratios import REFERENCES, RIVALS
from benchmarks.text.report import finish, show, show_alone

WAYS: Final = ("engine", *REFERENCES, "engine-float32", *RIVALS)


def main(arguments: list[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    if asked.quick:
        asked.texts, asked.rival_texts, asked.runs = 200, 40, 1
        asked.lengths = asked.lengths[:1]
    os.environ["HF_HUB_OFFLINE"] = "1"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by the way of exit, which ends what was started
    start = time.perf_counter()

    def tell(line: str) -> None:
        print(f"{time.perf_counter() - start:6.0f} s  {line}", file=sys.stderr, flush=True)

    report = _engine_only(asked, tell) if asked.engine_only else _in_spark(asked, tell)
    report["took_s"] = time.perf_counter() - start
    finish(report, asked.save)


def _engine_only(asked: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    from benchmarks.text.alone_case import Settings, run

    given = {name: getattr(asked, name) for name in ("texts", "lengths", "runs", "dtype", "device")}
    report = run(Settings(**given), tell)
    show_alone(report)
    return report


def _in_spark(asked: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    from benchmarks.text.spark_case import Settings, run

    given = {name: getattr(asked, name) for name in ("texts", "rival_texts", "lengths", "runs", "only", "dtype")}
    report = run(Settings(**given), tell)
    show(report)
    return report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text", description=__doc__)
    add = parser.add_argument
    add("--texts", type=int, default=10_000, help="distinct texts for the engine and the reference, at short lengths")
    add("--rival-texts", type=int, default=2_000, help="the first so many of them for all other ways, which are slower")
    add("--lengths", type=_lengths, default=(27, 200, 500), help="mean tokens of the texts: 27,200,500")
    add("--runs", type=int, default=3, help="timed passes of each way")
    add("--only", type=_ways, default=WAYS, help=f"some of: reference, {', '.join(WAYS)}")
    add("--dtype", default="auto", help="of the engine and the reference: auto, float32, bfloat16, float16")
    add("--quick", action="store_true", help="a small smoke run, whose figures mean nothing")
    add("--engine-only", action="store_true", help="engine and reference without Spark and MLflow, on a CPU or a GPU")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="of --engine-only")
    add("--save", type=Path, help="write the JSON there as well: benchmarks/results/<name>.json")
    return parser


def _lengths(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _ways(text: str) -> tuple[str, ...]:
    asked = set(text.split(","))
    if "reference" in asked:
        asked = asked - {"reference"} | {*REFERENCES}
    if unknown := asked - {*WAYS}:
        raise argparse.ArgumentTypeError(f"expected ways among reference, {', '.join(WAYS)}; got {', '.join(unknown)}")
    return tuple(way for way in WAYS if way in asked)


if __name__ == "__main__":
    main()
