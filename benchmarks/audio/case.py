"""The whole benchmark: recordings are made, then every way transcribes them, by turns."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.audio import models, recordings
from benchmarks.audio.figures import figures, ratios
from benchmarks.audio.greedy import ENGINE
from benchmarks.audio.models import Whisper
from benchmarks.audio.recordings import CLIPS, LONG, Recording
from benchmarks.audio.rivals import RIVALS
from benchmarks.audio.spec import Spec
from benchmarks.command import Tell
from benchmarks.machine import machine, versions
from benchmarks.text.turns import by_turns
from engine.device import detect

#: All take turns, pass by pass.
WAYS: Final = (*ENGINE, *RIVALS)
_WORKER: Final = "benchmarks.audio.worker"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured.

    Args:
        clips: how many.
        long: how many long recordings, of ``minutes`` each.
        runs: timed passes of each way.
        only: the ways.
        dtype, device: of the engine.
        size: of a model with random weights; None for Whisper tiny.en.
        recordings: a folder that keeps them for another run or machine; made in the first.
    """

    clips: int
    long: int
    minutes: float
    runs: int
    only: tuple[str, ...]
    dtype: str
    device: str = "cpu"
    size: str | None = None
    recordings: Path | None = None
    seed: int = 0


def run(settings: Settings, tell: Tell) -> dict[str, Any]:
    """Measures everything. Returns the report that is printed and saved."""
    report: dict[str, Any] = {
        "benchmark": "audio",
        "machine": machine(),  # before this benchmark itself loads the machine
        "versions": versions(),
        "settings": {name: getattr(settings, name) for name in settings.__dataclass_fields__ if name != "recordings"},
    }
    with tempfile.TemporaryDirectory(prefix="embercast-benchmark-") as name:
        folder = Path(name)
        tell("set-up: the model's folder and the recordings are made")
        model = models.whisper(folder / "whisper", settings.size)
        made = tables(settings)
        audio_s = {table: sum(one.seconds for one in rows) for table, rows in made.items()}
        for table, rows in made.items():
            tell(f"{table}: {len(rows)} recordings of {audio_s[table]:.0f} s together")

        def words(way: str, passed: Mapping[str, Any]) -> str:
            return ", ".join(f"{table} {audio_s[table] / one['s']:.1f} x real time" for table, one in passed.items())

        specs = specs_of(settings, model, made, folder)
        told, passes = by_turns(specs, settings.runs, folder, tell, words=words, module=_WORKER)
    report["tables"] = {
        table: {
            "recordings": len(rows),
            "audio_s": audio_s[table],
            "shortest_s": min(one.seconds for one in rows),
            "longest_s": max(one.seconds for one in rows),
        }
        for table, rows in made.items()
    }
    report["ways"] = {way: figures(made, passes[way], told[way], speech=model.speech) for way in specs}
    report["ratios"] = {table: ratios(report["ways"], table) for table in made}
    return report


def tables(settings: Settings) -> dict[str, list[Recording]]:
    """The recordings of each table that is not empty; read where they were kept, made otherwise."""
    counts = {CLIPS: settings.clips, LONG: settings.long}
    kept = settings.recordings
    if kept is not None and kept.is_dir():
        return {name: recordings.read(kept / name)[:count] for name, count in counts.items() if count}
    made = {
        CLIPS: list(recordings.clips(settings.clips, seed=settings.seed)),
        LONG: list(recordings.long(settings.long, settings.minutes, seed=settings.seed)),
    }
    for name, rows in made.items() if kept is not None else ():
        recordings.write(rows, kept / name)
    return {name: rows for name, rows in made.items() if rows}


def specs_of(settings: Settings, model: Whisper, made: Mapping[str, list[Recording]], folder: Path) -> dict[str, Spec]:
    """What each way's process is told. The tables are written into the folder."""
    cores = detect().cores
    written = {table: str(recordings.write(rows, folder / table, files=cores)) for table, rows in made.items()}
    few = sorted(made[CLIPS], key=lambda one: one.seconds)[: 2 * cores]
    warming = str(recordings.write(few, folder / "few", files=cores))
    return {
        way: Spec(
            way=way,
            tables={table: path for table, path in written.items() if table == LONG or "sequential" not in way},
            few=warming,
            model=str(model.folder),
            converted=str(model.converted),
            params=dict(model.params),
            dtype=settings.dtype,
            device=settings.device,
            cores=cores,
        )
        for way in settings.only
    }
