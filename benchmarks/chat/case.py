"""The whole benchmark: chats are made, the machine's limit is measured, then every way answers, by turns."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any, Final

from benchmarks.chat import models, trials
from benchmarks.chat import rows as table
from benchmarks.chat.figures import figures, lengths_kept, ratios, same, texts
from benchmarks.chat.limit import Sizes, limit
from benchmarks.chat.rows import Row
from benchmarks.chat.spec import Spec
from benchmarks.chat.ways import GROUPS, HALF_PRECISION, LLAMA, WAYS, count, plain
from benchmarks.command import Tell
from benchmarks.machine import machine, versions
from benchmarks.text.turns import by_turns
from engine.device import choose_device, detect

_WORKER: Final = "benchmarks.chat.worker"
#: Whose texts the others are compared with: the first of these that ran.
_REFERENCES: Final = ("static-32", "static-16", "sorted-32", "pipeline")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured.

    Args:
        prompts: how many chats; some ways answer a part of them (``benchmarks.chat.ways``).
        few: how many the pipelines answer.
        tried: how many a trial answers.
        runs: timed passes of each way.
        only: the ways.
        device: cpu or cuda, or auto.
        size: of a model of random weights; None for SmolLM2.
        model: a saved model's folder in the place of both.
        llama_python: an interpreter that has llama-cpp-python; None where there is none.
        dtype: of ways without one in their name.
    """

    prompts: int
    few: int
    tried: int
    runs: int
    only: tuple[str, ...]
    device: str = "cpu"
    size: str | None = None
    model: Path | None = None
    llama_python: str | None = None
    dtype: str = "float32"
    seed: int = 0


def run(settings: Settings, tell: Tell) -> dict[str, Any]:
    """Measures everything. Returns the report that is printed and saved."""
    on = machine()  # before this benchmark itself loads the machine
    asked = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    asked |= {"model": str(settings.model or ""), "llama_python": settings.llama_python is not None}
    ways, left_out = _able(settings)
    for line in left_out:
        tell(line)
    report = {"benchmark": "chat", "machine": on, "versions": versions(), "settings": asked, "left_out": left_out}
    with tempfile.TemporaryDirectory(prefix="embercast-benchmark-") as name:
        tell("set-up: the model's folder and the chats are made")
        return report | _report(settings, ways, Path(name), tell)


def _report(settings: Settings, ways: Sequence[str], folder: Path, tell: Tell) -> dict[str, Any]:
    model = settings.model or models.chat_model(folder / "model", settings.size)
    tokenizer, made = _made(model, settings)
    first = _spec(settings, "static-16", folder, model, made, processes=1)
    limits = _limits(settings, model, made, first, ways)
    for dtype, found in limits.items():
        tell(f"limit in {dtype}: {found['tokens_per_s']:.0f} tokens/s")
    tried: dict[str, Any] = {}
    processes = 1
    if any(WAYS[plain(way)].kind for way in ways):
        processes, tried["processes"] = trials.best_processes(_trial(first, settings, made), tell)
    told: dict[str, Any] = {}
    passes: dict[str, Any] = {}
    for group in GROUPS:
        specs = {}
        for way in (way for way in ways if plain(way) in group):
            specs[way] = _spec(settings, way, folder, model, made, processes=processes)
            if options := WAYS[plain(way)].trials:
                best, tried[way] = trials.best_options(_trial(specs[way], settings, made), options, tell)
                specs[way] = replace(specs[way], options=best.options)
        group_told, group_passes = _measured(specs, settings, folder, made, tell)
        told, passes = told | group_told, passes | group_passes
    parts = {way: made[: count(WAYS[plain(way)].rows, len(made), settings.few)] for way in told}
    return {
        "prompts": _described(made),
        "limits": limits,
        "trials": tried,
        "ways": _ways(parts, passes, told, limits, tokenizer),
        "ratios": ratios({way: _rate(parts[way], passes[way]) for way in told}),
    }


def _able(settings: Settings) -> tuple[list[str], list[str]]:
    """The ways that this machine can run, and a line for each that it can't."""
    ways, lines = [], []
    for way in settings.only:
        if way in LLAMA and (reason := _no_llama(settings)):
            lines.append(f"{way} is left out: {reason}")
        else:
            ways.append(way)
    return ways, lines


def _no_llama(settings: Settings) -> str | None:
    if settings.size is not None or settings.model is not None:
        return "only SmolLM2's package has a file for it"
    if settings.llama_python is None:
        return "--llama-python names no interpreter with llama-cpp-python"
    asked = [settings.llama_python, "-c", "import llama_cpp"]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        return "llama-cpp-python is not installed for the interpreter of --llama-python"
    return None


def _made(model: Path, settings: Settings) -> tuple[Any, list[Row]]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    return tokenizer, table.rows(settings.prompts, tokenizer, seed=settings.seed)


def _spec(settings: Settings, way: str, folder: Path, model: Path, made: Sequence[Row], *, processes: int) -> Spec:
    described = WAYS[plain(way)]
    llama = way in LLAMA
    device = choose_device(settings.device, detect()).value.partition(":")[0]
    cores = detect().cores
    if described.kind == "engine":  # as Spark runs it
        processes = cores if device == "cpu" else 1
    path = folder / "rows.json"
    if not path.exists():
        table.write(made, path)
    return Spec(
        way=way,
        kind=described.kind,
        rows=str(path),
        count=count(described.rows, len(made), settings.few),
        model=str(models.gguf() if llama else model),
        dtype="bfloat16" if way.endswith(HALF_PRECISION) else settings.dtype,
        device=device,
        cores=cores,
        processes=processes,
        python=settings.llama_python or "" if llama else "",
        options=dict(described.options),
    )


def _trial(spec: Spec, settings: Settings, made: Sequence[Row]) -> Spec:
    path = Path(spec.rows).with_name("tried.json")
    tried = made[: settings.tried]
    return replace(spec, rows=str(trials.write(tried, path)), count=len(tried))


def _limits(settings: Settings, model: Path, made: Sequence[Row], spec: Spec, ways: Sequence[str]) -> dict[str, Any]:
    """By dtype."""
    from transformers import AutoConfig

    sizes = Sizes.of(AutoConfig.from_pretrained(model))
    dtypes = dict.fromkeys("bfloat16" if way.endswith(HALF_PRECISION) else settings.dtype for way in ways)
    return {dtype: limit(made, sizes, dtype=dtype, device=spec.device, cores=spec.cores) for dtype in dtypes}


def _measured(
    specs: Mapping[str, Spec], settings: Settings, folder: Path, made: Sequence[Row], tell: Tell
) -> tuple[dict[str, Any], dict[str, Any]]:
    def words(way: str, passed: Mapping[str, float]) -> str:
        return f"{_rate(made[: specs[way].count], [passed]):.1f} tokens/s"

    return by_turns(specs, settings.runs, folder, tell, words=words, module=_WORKER)


def _rate(rows: Sequence[Row], passes: Sequence[Mapping[str, float]]) -> float:
    return float(figures(rows, [{"core_s": 1.0, **one} for one in passes], {})["tokens_per_s"])


def _described(made: Sequence[Row]) -> dict[str, Any]:
    return {
        "count": len(made),
        "common": table.common(made),
        "mean_prompt": mean(len(row.ids) for row in made),
        "longest_prompt": max(len(row.ids) for row in made),
        "mean_answer": mean(row.answer for row in made),
        "longest_answer": max(row.answer for row in made),
    }


def _ways(
    parts: Mapping[str, Sequence[Row]],
    passes: Mapping[str, Any],
    told: Mapping[str, Any],
    limits: Mapping[str, Any],
    tokenizer: Any,
) -> dict[str, Any]:
    found = {way: figures(parts[way], passes[way], told[way]) for way in told}
    said = {way: texts(told[way], tokenizer) for way in told}
    for way, one in found.items():
        if not lengths_kept(told[way], parts[way]):
            raise RuntimeError(f"{way} wrote another number of tokens than was asked for")
        ending = HALF_PRECISION if way.endswith(HALF_PRECISION) else ""
        reference = next((f"{name}{ending}" for name in _REFERENCES if f"{name}{ending}" in said), None)
        if reference not in (None, way) and way not in LLAMA:
            one["same_text"] = same(said[way], said[reference])
        if one.get("dtype") in limits:
            one["of_limit"] = one["tokens_per_s"] / limits[one["dtype"]]["tokens_per_s"]
    return found
