from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from engine.options import Column
from jobs import hearing
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
    assert hearing._lengths([10.0, None, 20.0]) == Lengths(looked=3, told=2, seconds=30.0)
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


def test_parameters_of_reading_are_taken_from_those_of_the_task() -> None:
    params = {"roots": ["calls"], "strings": "path", "timestamps": "words", "channel": Column("side")}
    found = hearing._audio_params(params)
    assert (found.roots, found.strings, found.channel) == (("calls",), "path", None)
