"""What is decided by a short run: how many processes share the cores, and a way's best options."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.chat import rows as table
from benchmarks.chat.rows import Row
from benchmarks.chat.spec import Spec
from benchmarks.chat.team import Team
from benchmarks.command import Tell

#: Tokens that an answer has in a trial at most: enough prompts to fill every process matter more than long answers.
_ANSWER: Final = 24


def write(made: Sequence[Row], path: Path) -> Path:
    """The chats of a trial, as JSON; returns the path."""
    return table.write([replace(row, answer=min(row.answer, _ANSWER)) for row in made], path)


def best_options(spec: Spec, trials: tuple[Mapping[str, Any], ...], tell: Tell) -> tuple[Spec, dict[str, float]]:
    """The spec with the options that write the most tokens per second, and what each wrote."""
    specs = {str(dict(options)): replace(spec, options={**spec.options, **options}) for options in trials}
    rates = {name: _rate(one) for name, one in specs.items()}
    for name, rate in rates.items():
        tell(f"{spec.way}, tried with {name}: {rate:.1f} tokens/s")
    return specs[_best(rates)], rates


def best_processes(spec: Spec, tell: Tell) -> tuple[int, dict[str, float]]:
    """One process with all cores or one a core: what writes the most, and what each wrote."""
    if spec.cores == 1 or spec.device != "cpu":
        return 1, {}
    shapes = {1: f"1 process, {spec.cores} threads", spec.cores: f"{spec.cores} processes, 1 thread"}
    rates = {shapes[processes]: _rate(replace(spec, processes=processes)) for processes in shapes}
    for name, rate in rates.items():
        tell(f"{spec.way}, tried in {name}: {rate:.1f} tokens/s")
    best = _best(rates)
    return next(processes for processes, name in shapes.items() if name == best), rates


def _rate(spec: Spec) -> float:
    team = Team(spec)
    try:
        team.ready()
        start = time.perf_counter()
        team.run()
        return sum(row.answer for row in team.rows) / (time.perf_counter() - start)
    finally:
        team.close()


def _best(rates: Mapping[str, float]) -> str:
    return max(rates, key=rates.__getitem__)
