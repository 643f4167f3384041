"""Which jobs draw by the row's key: those whose texts are drawn by chance, without a seed of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.options import Column
from jobs.seeds import SEED, add, by_key
from tests import speech


@dataclass(frozen=True)
class Prepared:
    """What is read of a ``PreparedModel``."""

    task: str
    params: Mapping[str, Any]
    bundle: Any


def prepared(folder: Path, task: str, params: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
    (folder / "generation_config.json").write_text(json.dumps(own), encoding="utf-8")
    return Prepared(task, params, SimpleNamespace(path=folder))


@pytest.mark.parametrize(
    ("task", "params", "own"),
    [
        ("text-classification", {}, {"do_sample": True}),
        ("text-generation", {}, {}),
        ("text-generation", {"temperature": 0.0}, {"do_sample": True}),
        ("summarization", {"num_beams": 2}, {"do_sample": True}),
        ("text-generation", {"temperature": 0.7, "seed": 0}, {}),
        ("llm/v1/chat", {"max_tokens": 9}, {}),
        ("llm/v1/chat", {"temperature": 0}, {"do_sample": True}),
        ("llm/v1/chat", {"strings": "json", "seed": 1}, {}),
        ("text-generation", {"temperature": 0.7, "seed": Column("own")}, {}),
    ],
)
def test_a_job_that_draws_nothing_or_has_a_seed_is_left_alone(
    tmp_path: Path, task: str, params: Mapping[str, Any], own: Mapping[str, Any]
) -> None:
    """Its rows get no column either, so that equal rows stay equal and are scored once."""
    model, rows = prepared(tmp_path, task, params, own), SimpleNamespace()
    assert by_key(model, ["prompt"]) is model
    assert add(rows, model, ["id"]) is rows


@pytest.mark.parametrize(
    ("task", "params", "own"),
    [
        ("text-generation", {"temperature": 0.7}, {}),
        ("text-generation", {"seed": None}, {"do_sample": True}),
        ("translation", {"do_sample": Column("drawn")}, {}),
        ("llm/v1/chat", {"temperature": Column("heat")}, {}),
        ("llm/v1/chat", {"min_p": 0.1}, {}),
        ("llm/v1/chat", {}, {"do_sample": True}),
        ("llm/v1/chat", {"strings": "json"}, {}),
    ],
)
def test_a_job_that_draws_takes_its_seeds_from_the_keys(
    tmp_path: Path, task: str, params: Mapping[str, Any], own: Mapping[str, Any]
) -> None:
    model = prepared(tmp_path, task, params, own)
    assert by_key(model, ["prompt"]) == Prepared(task, {**params, "seed": Column(SEED)}, model.bundle)


def test_a_row_that_gives_its_parameters_may_ask_for_chance(tmp_path: Path) -> None:
    model = prepared(tmp_path, "llm/v1/chat", {}, {})
    assert by_key(model, ["messages"]) is model
    assert by_key(model, ["messages", "params"]).params == {"seed": Column(SEED)}


@pytest.mark.parametrize(("noise", "params", "drawn"), [(0.5, {}, True), (0.0, {}, False), (0.5, {"seed": 1}, False)])
def test_voices_that_vary_by_chance_are_drawn_by_the_key(
    tmp_path: Path, noise: float, params: Mapping[str, Any], drawn: bool
) -> None:
    speech.save(tmp_path, noise=noise)
    found = by_key(Prepared("text-to-audio", params, SimpleNamespace(path=tmp_path)), ["text"])  # type: ignore[arg-type]
    assert found.params == ({**params, "seed": Column(SEED)} if drawn else params)
