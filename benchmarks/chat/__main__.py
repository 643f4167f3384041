"""python -m benchmarks.chat: the ways of answering chats, measured. See benchmarks/README.md."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from benchmarks.chat.models import SIZES
from benchmarks.chat.ways import ALONE, LLAMA, names, plain
from benchmarks.command import Tell, carry_out, some_of
from engine.device import detect

_PIPELINES: Final = ("pipeline", "pipeline-batch8")
WAYS: Final = names(half=True)


def main(arguments: list[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    if asked.quick:
        asked.prompts, asked.few, asked.tried, asked.runs = 8, 2, 2, 1
    if asked.only is None:
        asked.only = names(half=detect().bf16_flag is not None and asked.dtype == "float32")
    if asked.engine_only:
        asked.only = tuple(way for way in asked.only if plain(way) in ALONE)
    carry_out(lambda tell: _measure(asked, tell), asked.save)


def _measure(asked: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    from benchmarks.chat.case import Settings, run
    from benchmarks.chat.report import show

    report = run(Settings(**{name: getattr(asked, name) for name in Settings.__dataclass_fields__}), tell)
    show(report)
    return report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat", description=__doc__)
    add = parser.add_argument
    add("--prompts", type=int, default=256, help="chats; static batches and llama.cpp answer a part of them")
    add("--few", type=int, default=16, help="the first so many of them for the pipelines, which are slow")
    add("--tried", type=int, default=64, help="the first so many of them for trials of options")
    add("--runs", type=int, default=1, help="timed passes of each way")
    some = some_of(WAYS, pipelines=_PIPELINES, static=("static-16", "static-32", "sorted-32"), llama=LLAMA)
    add("--only", type=some, help=f"some of: pipelines, static, llama, {', '.join(WAYS)}; all that this machine can")
    add("--dtype", default="float32", help="of ways without one in their name: float32, or bfloat16 on a GPU")
    add("--llama-python", help="an interpreter that has llama-cpp-python: uv sync --group llama, or one of its own")
    add("--quick", action="store_true", help="a small smoke run, whose figures mean nothing")
    add("--engine-only", action="store_true", help="without Spark and MLflow, on a CPU or a GPU")
    add("--device", default="cpu", choices=("auto", "cpu", "cuda"), help="of --engine-only")
    add("--size", choices=tuple(SIZES), help="a model of random weights in place of SmolLM2")
    add("--model", type=Path, help="a saved model's folder in place of SmolLM2")
    add("--seed", type=int, default=0, help="of the chats")
    add("--save", type=Path, help="write the JSON there as well: benchmarks/results/<name>.json")
    return parser


if __name__ == "__main__":
    main()
