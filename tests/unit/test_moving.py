"""A worker that gets another GPU: what it had on the one it left is given up."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import moving
from engine.generation.backends import backend_of
from engine.models import load as loading
from engine.models.bundle import make_bundle
from engine.models.load import LoadedModel, load
from engine.models.registry import resolve
from tests import generation


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = generation.save(tmp_path / "model", "llama", hidden_size=16)
    (tmp_path / "cache").mkdir()
    return make_bundle(resolve(str(folder), task="text-generation"), "float32", root=tmp_path / "cache").path


@pytest.fixture
def selected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Which GPUs were made the process's own; no GPU is here, and models stay where they are."""
    found: list[str] = []
    monkeypatch.setattr(moving, "_devices", ())
    monkeypatch.setattr(moving, "_select", found.append)
    monkeypatch.setattr(loading, "_placed", lambda model, *where: model)
    yield found
    loading.forget()


def test_what_lay_on_the_gpu_it_left_is_given_up(path: Path, selected: list[str]) -> None:
    moving.move(("cuda:0",))
    first: LoadedModel = load(path, "cuda:0")
    backend_of(first)  # it holds the model, too
    left = weakref.ref(first.model)
    moving.move(("cuda:0",))
    assert load(path, "cuda:0") is first
    del first
    moving.move(("cuda:1",))
    gc.collect()
    assert left() is None
    assert load(path, "cuda:1").device == "cuda:1"
    assert selected == ["cuda:0", "cuda:0", "cuda:1"]


def test_on_a_cpu_nothing_is_given_up(path: Path, selected: list[str]) -> None:
    moving.move(("cpu",))
    first = load(path, "cpu")
    moving.move(("cpu",))
    assert load(path, "cpu") is first
    assert selected == []
