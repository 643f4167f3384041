"""python -m benchmarks.text: the ways of scoring texts, measured. See benchmarks/README.md."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from benchmarks.command import Tell, carry_out, some_of
from benchmarks.text.ratios import HERE, REFERENCES, RIVALS
from benchmarks.text.report import show, show_alone

WAYS: Final = ("engine", *REFERENCES, "engine-float32", HERE, *RIVALS)


def main(arguments: list[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    if asked.quick:
        asked.texts, asked.rival_texts, asked.runs = 200, 40, 1
        asked.lengths = asked.lengths[:1]
    work = _engine_only if asked.engine_only else _in_spark
    carry_out(lambda tell: work(asked, tell), asked.save)


def _engine_only(asked: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    from benchmarks.text.alone_case import Settings, run

    given = {name: getattr(asked, name) for name in ("texts", "lengths", "runs", "dtype", "device")}
    report = run(Settings(**given), tell)
    show_alone(report)
    return report


def _in_spark(asked: argparse.Namespace, tell: Tell) -> dict[str, Any]:
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
    add("--only", type=some_of(WAYS, reference=REFERENCES), default=WAYS, help=f"some of: reference, {', '.join(WAYS)}")
    add("--dtype", default="auto", help="of the engine and the reference: auto, float32, bfloat16, float16")
    add("--quick", action="store_true", help="a small smoke run, whose figures mean nothing")
    add("--engine-only", action="store_true", help="engine and reference without Spark and MLflow, on a CPU or a GPU")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="of --engine-only")
    add("--save", type=Path, help="write the JSON there as well: benchmarks/results/<name>.json")
    return parser


def _lengths(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    main()
