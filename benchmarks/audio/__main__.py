"""python -m benchmarks.audio: the ways of transcribing recordings, measured. See benchmarks/README.md."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from benchmarks.audio.models import SIZES
from benchmarks.command import Tell, carry_out, some_of

_SEQUENTIAL: Final = "engine-sequential"
_PIPELINES: Final = ("pipeline", "pipeline-batch8")
_FASTER_WHISPER: Final = tuple(
    f"faster-whisper{how}-{dtype}" for how in ("", "-batched") for dtype in ("float32", "int8")
)
WAYS: Final = ("engine", _SEQUENTIAL, *_PIPELINES, *_FASTER_WHISPER)


def main(arguments: list[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    if asked.quick:
        asked.clips, asked.long, asked.minutes, asked.runs = 8, 2, 0.75, 1
    if asked.engine_only:
        asked.only = tuple(f"{way}-alone" for way in asked.only if way in ("engine", _SEQUENTIAL))
    carry_out(lambda tell: _measure(asked, tell), asked.save)


def _measure(asked: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    from benchmarks.audio.case import Settings, run
    from benchmarks.audio.report import show

    names = ("clips", "long", "minutes", "runs", "only", "dtype", "device", "size", "recordings")
    report = run(Settings(**{name: getattr(asked, name) for name in names}), tell)
    show(report)
    return report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audio", description=__doc__)
    add = parser.add_argument
    add("--clips", type=int, default=64, help="recordings of 2 to 28 s")
    add("--long", type=int, default=2, help="long recordings; 0 for none")
    add("--minutes", type=float, default=3.0, help="of each long recording")
    add("--runs", type=int, default=3, help="timed passes of each way")
    some = some_of(WAYS, pipelines=_PIPELINES, **{"faster-whisper": _FASTER_WHISPER})
    add("--only", type=some, default=WAYS, help=f"some of: pipelines, faster-whisper, {', '.join(WAYS)}")
    add("--dtype", default="auto", help="of the engine: auto, float32, bfloat16, float16")
    add("--quick", action="store_true", help="a small smoke run, whose figures mean nothing")
    add("--engine-only", action="store_true", help="the engine without Spark and MLflow, on a CPU or a GPU")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="of --engine-only")
    add("--size", choices=tuple(SIZES), help="of --engine-only: a model of random weights in place of tiny.en")
    add("--recordings", type=Path, help="a folder to keep the recordings in: made in the first run, read in others")
    add("--save", type=Path, help="write the JSON there as well: benchmarks/results/<name>.json")
    return parser


if __name__ == "__main__":
    main()
