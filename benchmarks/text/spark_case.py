"""The whole benchmark: every way in Spark and the reference, by text length."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

from benchmarks.machine import machine, versions
from benchmarks.text import models
from benchmarks.text.ratios import HERE, REFERENCES, agreement, all_ratios
from benchmarks.text.spec import Spec
from benchmarks.text.texts import rows_at, texts, tokens_of, with_repeats
from benchmarks.text.turns import take_turns
from engine.device import detect

#: Measured by turns within a group, one group after another: those that are compared closely are neighbours.
GROUPS: Final[tuple[tuple[str, ...], ...]] = (
    ("engine", *REFERENCES, "stock", HERE, "engine-float32"),
    ("stock-batch32",),
    ("pipeline-udf",),
    ("predict-batch-udf",),
)
REPEATED: Final = ("engine", "stock")
_FULL: Final = ("engine", *REFERENCES, HERE)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured: texts of each length (``rows_at``), the rivals' part of them, and how often."""

    texts: int
    rival_texts: int
    lengths: tuple[int, ...]
    runs: int
    only: tuple[str, ...]
    dtype: str
    seed: int = 0


def run(settings: Settings, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measures everything. Returns the report that is printed and saved."""
    on = machine()  # before this benchmark itself loads the machine
    with tempfile.TemporaryDirectory(prefix="embercast-benchmark-") as name:
        folder = Path(name)
        tell("set-up: the model is made and logged")
        made = _set_up(folder, settings)
        report: dict[str, Any] = {
            "benchmark": "text",
            "machine": on,
            "versions": versions(),
            "settings": {name: getattr(settings, name) for name in settings.__dataclass_fields__},
            "lengths": {},
        }
        for length in settings.lengths:
            found = texts(rows_at(settings.texts, length), length, seed=settings.seed)
            report["lengths"][str(length)] = _measure(settings, made, found, length, settings.only, folder, tell)
        repeated = tuple(name for name in REPEATED if name in settings.only)
        if repeated:
            length = settings.lengths[0]
            found = with_repeats(texts(rows_at(settings.texts, length), length, seed=settings.seed))
            measured = _measure(settings, made, found, length, repeated, folder, tell)
            report["repeated"] = {"length": length, "one_in": 20, **measured}
    return report


def _set_up(folder: Path, settings: Settings) -> dict[str, Any]:
    model = models.save_minilm(folder / "minilm")
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    logged = {"stock": models.log("stock", model)}
    if "stock-batch32" in settings.only:
        logged["stock-batch32"] = models.log("stock-batch32", model, {"batch_size": 32})
    if HERE in settings.only:
        logged[HERE] = models.log_here(HERE, model, settings.dtype)
    return {"model": str(model), "logged": logged}


def _measure(
    settings: Settings,
    made: dict[str, Any],
    found: list[str],
    length: int,
    ways: tuple[str, ...],
    folder: Path,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    path = folder / "texts.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    cores = detect().cores
    fewer = min(len(found), rows_at(settings.rival_texts, length))
    tell(f"texts of mean {length} tokens: {len(found)} of them for {', '.join(_FULL)}, {fewer} for all others")
    results: dict[str, dict[str, Any]] = {}
    for group in GROUPS:
        specs = {}
        for name in (name for name in group if name in ways):
            specs[name] = Spec(
                way="reference" if name in REFERENCES else name,
                texts=str(path),
                rows=len(found) if name in _FULL else fewer,
                cold_rows=max(1, fewer // 4),
                dtype=settings.dtype,
                cores=cores,
                processes=cores if name == "reference-processes" else 1,
                **made,
            )
        results |= take_turns(specs, settings.runs, folder, tell)
    labels = {name: result.pop("answers") for name, result in results.items()}
    for name, share in agreement(labels, "stock").items() if "stock" in labels else ():
        results[name]["labels_as_stock"] = share
    for result in results.values():
        result["mean_tokens"] = mean(map(tokens_of, found[: result["rows"]]))
    return {"ways": results, "ratios": all_ratios(results)}
