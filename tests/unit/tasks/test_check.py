"""What a worker would refuse is refused on the driver, and what passed is not tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.errors import ModelError, ParameterError, UnsupportedTaskError
from engine.models.bundle import Bundle, make_bundle
from engine.models.registry import resolve
from engine.options import Column
from engine.tasks import check as checking
from engine.tasks.check import check
from tests import generation, tiny


def bundle(folder: Path, task: str) -> Bundle:
    (folder.parent / "cache").mkdir(mode=0o700)
    return make_bundle(resolve(str(folder), task=task), "float32", root=folder.parent / "cache")


@pytest.mark.parametrize(
    ("task", "architecture", "params", "message"),
    [
        ("text-generation", "gpt2", {"n": 3}, "expected sampling or num_beams of at least 3"),
        ("text-generation", "gpt2", {"max_new_tokens": 10_000_000}, "expected max_new_tokens below "),
    ],
)
def test_parameters_that_this_model_does_not_take(
    tmp_path: Path, task: str, architecture: str, params: dict[str, Any], message: str
) -> None:
    made = bundle(generation.save(tmp_path / "model", architecture), task)
    with pytest.raises(ParameterError, match=message):
        check(task, made, params, root=tmp_path / "cache")
    assert not list(tmp_path.glob("cache/known/*.checked"))


def test_windows_that_gain_nothing(tmp_path: Path) -> None:
    made = bundle(tiny.save(tmp_path / "model", head="TokenClassification"), "token-classification")
    with pytest.raises(ParameterError, match="expected a stride below "):
        check("token-classification", made, {"long_text": "chunk", "stride": 100_000}, root=tmp_path / "cache")


def test_a_model_that_the_task_does_not_run(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", num_labels=3)
    with pytest.raises((ModelError, ParameterError, UnsupportedTaskError), match="one"):
        check("reranking", bundle(folder, "reranking"), {}, root=tmp_path / "cache")


def test_what_passed_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bundle(tiny.save(tmp_path / "model", label2id={"entailment": 0, "other": 1}), "zero-shot-classification")
    fixed, by_row = {"candidate_labels": ["a", "b"]}, {"candidate_labels": Column("labels")}
    for params in (fixed, by_row):
        check("zero-shot-classification", made, params, root=tmp_path / "cache")
    monkeypatch.setattr(checking, "load", None)
    for params in (fixed, by_row):
        check("zero-shot-classification", made, params, root=tmp_path / "cache")
    with pytest.raises(TypeError):  # other parameters are tried
        check("zero-shot-classification", made, {"candidate_labels": ["a", "c"]}, root=tmp_path / "cache")
