"""The whole benchmark: for each task the engine and the stock pipeline, by turns."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.command import Tell
from benchmarks.machine import machine, versions
from benchmarks.tasks.answers import largest, same
from benchmarks.tasks.rows import KINDS, mean_tokens
from benchmarks.text import models
from benchmarks.text.ratios import agreement, all_ratios
from benchmarks.text.spec import Spec
from benchmarks.text.turns import take_turns
from engine.device import detect

_ENGINE: Final = ("engine", "engine-float32")
#: One group: all take turns, pass by pass.
WAYS: Final = (*_ENGINE, "stock", "stock-batch32")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured: rows of each task (``Kind.count``), the pipelines' part of them, and how often."""

    tasks: tuple[str, ...]
    texts: int
    rival_texts: int
    runs: int
    only: tuple[str, ...]
    dtype: str
    seed: int = 0


def run(settings: Settings, tell: Tell) -> dict[str, Any]:
    """Measures everything. Returns the report that is printed and saved."""
    report: dict[str, Any] = {
        "benchmark": "tasks",
        "machine": machine(),  # before this benchmark itself loads the machine
        "versions": versions(),
        "settings": {name: getattr(settings, name) for name in settings.__dataclass_fields__},
        "stock": "the stock pipeline in a pandas UDF",
        "tasks": {},
    }
    with tempfile.TemporaryDirectory(prefix="embercast-benchmark-") as name:
        for task in settings.tasks:
            folder = Path(name) / task
            folder.mkdir()
            report["tasks"][task] = _measure(task, settings, folder, tell)
    return report


def _measure(task: str, settings: Settings, folder: Path, tell: Tell) -> dict[str, Any]:
    kind = KINDS[task]
    rows = kind.rows(kind.count(settings.texts), seed=settings.seed)
    (folder / "texts.json").write_text(json.dumps(rows), encoding="utf-8")
    made = specs(task, settings, folder, models.save_minilm(folder / "minilm", task))
    tell(f"{task}: {kind.words}; {', '.join(f'{spec.rows} for {name}' for name, spec in made.items())}")
    results = take_turns(made, settings.runs, folder, tell)
    answers = {name: result.pop("answers") for name, result in results.items()}
    for name, share in agreement(answers, "stock", same).items() if "stock" in answers else ():
        results[name] |= {"answers_as_stock": share, "scores_apart": largest(answers[name], answers["stock"])}
    described = {"rows_are": kind.words, "mean_tokens": mean_tokens(task, rows), "params": kind.params}
    return {**described, "ways": results, "ratios": all_ratios(results)}


def specs(task: str, settings: Settings, folder: Path, model: Path) -> dict[str, Spec]:
    """What each way's process is told."""
    kind = KINDS[task]
    full = kind.count(settings.texts)
    fewer = min(full, kind.count(settings.rival_texts))
    return {
        way: Spec(
            way=way,
            texts=str(folder / "texts.json"),
            rows=full if way in _ENGINE else fewer,
            cold_rows=max(1, fewer // 4),
            model=str(model),
            logged={},
            task=task,
            params=dict(kind.params),
            dtype=settings.dtype,
            cores=detect().cores,
        )
        for way in settings.only
    }
