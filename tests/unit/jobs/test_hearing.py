from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from engine.options import Column
from engine.tasks.params import parse_params
from jobs import hearing, trial
from jobs.hearing import Lengths, shortened


@dataclass(frozen=True)
class Model:
    params: dict[str, Any]
    device: Any


@dataclass(frozen=True)
class Job:
    model: Any


CPU = Job(Model({"language": "en"}, SimpleNamespace(value="cpu")))
GPU = Job(Model({}, SimpleNamespace(value="cuda:0")))


def test_seconds_of_all_rows_are_estimated_from_the_headers_that_tell() -> None:
    assert hearing._lengths([10.0, None, 20.0], most=60.0) == Lengths(looked=3, told=2, seconds=30.0)
    assert Lengths(looked=3, told=2, seconds=30.0).of(1_000) == 15_000.0
    assert Lengths(looked=3, told=0, seconds=0.0).of(1_000) is None


@pytest.mark.parametrize(("job", "given", "heard"), [(CPU, None, 60.0), (GPU, None, 240.0), (CPU, 5.0, 5.0)])
def test_a_trial_hears_the_beginning_of_a_long_recording(job: Any, given: float | None, heard: float) -> None:
    params = {**job.model.params, "first_s": given}
    found = shortened(replace(job, model=replace(job.model, params=params)))
    assert found.model.params == {**params, "first_s": heard}


def test_a_trial_hears_as_much_where_a_column_says_how_much() -> None:
    found = shortened(replace(CPU, model=replace(CPU.model, params={"first_s": Column("seconds")})))
    assert found.model.params == {"first_s": 60.0}


@pytest.mark.parametrize(
    ("task", "params", "most"),
    [
        ("automatic-speech-recognition", {}, math.inf),
        ("automatic-speech-recognition", {"first_s": 12.0}, 12.0),
        ("audio-classification", {}, 30.0),
        ("audio-classification", {"first_s": 12.0, "max_length_s": 60.0}, 12.0),
        ("zero-shot-audio-classification", {"candidate_labels": Column("labels"), "max_length_s": 5.0}, 5.0),
        ("automatic-speech-recognition", {"first_s": Column("seconds", default=7.0)}, 7.0),
    ],
)
def test_no_more_is_expected_of_a_recording_than_is_heard(task: str, params: Mapping[str, Any], most: float) -> None:
    assert hearing._most(parse_params(task, params)) == most
    assert hearing._lengths([3600.0, 4.0, None], most) == Lengths(looked=3, told=2, seconds=min(3600.0, most) + 4.0)


def test_a_foreign_models_input_may_be_called_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pa.table({"audio": [1.0]})
    monkeypatch.setattr(trial, "_first", lambda *_: SimpleNamespace(toArrow=lambda: rows))
    resolved: Any = SimpleNamespace(inputs={"audio": "audio"}, model=SimpleNamespace(task="pyfunc"))
    assert trial.take(None, resolved) == trial.Taken(resolved, rows)  # type: ignore[arg-type]
