"""python -m benchmarks.audio.memory: what a worker holds beside the weights while it hears hours of recordings by path.

A hundred files of an hour each, sparse: every 30 s some noise, silence between, so that they take no disk. One process
transcribes them through the engine, and its private memory is read ten times a second: that holds what the process
imports, too, but not the weights, which are mapped. The most of each tenth of the time shows whether it grows. The
model is a small one of random weights unless asked otherwise: what counts are seconds of audio, not answers.
"""

from __future__ import annotations

import argparse
import multiprocessing
import struct
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from benchmarks.audio.models import SIZES, Whisper, whisper
from benchmarks.audio.spec import Spec
from benchmarks.command import Tell, carry_out
from benchmarks.machine import machine, versions
from benchmarks.watched import watched

#: Bytes that a worker may hold beside the weights.
ALLOWED: Final = 2 << 30
_RATE: Final = 16_000
_EVERY_S: Final = 30
_SMAPS: Final = Path("/proc/self/smaps_rollup")


def main(arguments: list[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    if asked.quick:
        asked.files, asked.hours = 3, 0.05
    carry_out(lambda tell: _measure(asked, tell), asked.save)


def _measure(asked: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    settings = {"files": asked.files, "hours": asked.hours, "size": asked.size}
    report = {"benchmark": "audio memory", "machine": machine(), "versions": versions(), "settings": settings}
    with tempfile.TemporaryDirectory(prefix="embercast-benchmark-") as name:
        folder = Path(name)
        model = whisper(folder / "whisper", None if asked.size == "tiny.en" else asked.size)
        paths = [sparse(folder / f"{i}.wav", 3600 * asked.hours) for i in range(asked.files)]
        disk = sum(path.stat().st_blocks for path in paths) * 512
        tell(f"{len(paths)} files of {asked.hours} h, {disk >> 20} MiB on disk")
        found = transcribed(model, paths)
    print(f"private memory: {found['most_bytes'] >> 20} MiB at most of {ALLOWED >> 20} allowed", end="; ")
    print(f"of each tenth of the time: {', '.join(str(size >> 20) for size in found['most_by_tenth'])}")
    return {**report, **found, "allowed_bytes": ALLOWED}


def sparse(path: Path, seconds: float) -> Path:
    """A wav file (16 kHz, 16 bits) of silence with a tenth of a second of noise every 30 s; holes take no disk."""
    import numpy as np

    samples = int(seconds * _RATE)
    noise = np.random.default_rng(0).normal(0, 3000, _RATE // 10).astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, 2 * _RATE, 2, 16)
    header = (
        struct.pack("<4sI4s", b"RIFF", 36 + 2 * samples, b"WAVE") + form + struct.pack("<4sI", b"data", 2 * samples)
    )
    with path.open("wb") as file:
        file.write(header)
        for start in range(_RATE // 2, samples - _RATE, _EVERY_S * _RATE):
            file.seek(len(header) + 2 * start)
            file.write(noise)
        file.truncate(len(header) + 2 * samples)
    return path


def transcribed(model: Whisper, paths: list[Path]) -> dict[str, Any]:
    """Private bytes of a process that transcribes these files: after loading, at most, by tenth of its time."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_transcribe, args=(there, model, [str(path) for path in paths]), daemon=True)
    child.start()
    there.close()  # so that its death is seen here as the end of its pipe
    found: dict[str, Any] = here.recv()
    child.join()
    return found


def _transcribe(pipe: Connection, model: Whisper, paths: list[str]) -> None:
    from benchmarks.audio.alone import scorer

    spec = Spec(
        way="engine-alone", model=str(model.folder), params={"roots": [str(Path(paths[0]).parent)], **model.params}
    )
    made, dtype = scorer(spec)
    batch = pa.record_batch({"audio": pa.array(paths, pa.string())})
    loaded = private()
    start = time.perf_counter()
    with watched(private, every=0.1) as sizes:
        stats = [scored.stats for scored in made.score([batch])]
    pipe.send(
        {
            "loaded_bytes": loaded,
            "most_bytes": max(sizes),
            "most_by_tenth": tenths(sizes),
            "weight_bytes": made.task.manifest.weight_bytes,
            "dtype": dtype,
            "audio_s": sum(one.audio_s for one in stats),
            "failed": sum(one.failed for one in stats),
            "s": time.perf_counter() - start,
        }
    )


def tenths(sizes: list[int]) -> list[int]:
    """The most of every tenth, in order; of fewer than ten, each."""
    parts = min(10, len(sizes))
    return [max(sizes[i * len(sizes) // parts : (i + 1) * len(sizes) // parts]) for i in range(parts)]


def private() -> int:
    """Bytes that this process shares with none: mapped weights aren't among them. Linux only."""
    lines = _SMAPS.read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audio.memory", description=__doc__)
    add = parser.add_argument
    add("--files", type=int, default=100, help="how many")
    add("--hours", type=float, default=1.0, help="of each")
    add("--size", choices=("tiny.en", *SIZES), default="smallest", help="of the model: tiny.en, or of random weights")
    add("--quick", action="store_true", help="three files of three minutes")
    add("--save", type=Path, help="write the JSON there as well: benchmarks/results/<name>.json")
    return parser


if __name__ == "__main__":
    main()
