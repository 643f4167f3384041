"""A bundle on a device: kept per process, ready to be called, and only in the layout it was written in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from engine.errors import ModelError
from engine.models.bundle import Bundle, make_bundle
from engine.models.load import load
from engine.models.manifest import WEIGHTS
from engine.models.registry import resolve
from engine.models.tensors import map_tensors, write_tensors
from tests import tiny


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    home = tmp_path_factory.mktemp("load")
    return make_bundle(resolve(str(tiny.save(home / "model", num_labels=3))), "float32", root=home)


def test_a_model_is_loaded_once_a_process(bundle: Bundle) -> None:
    assert load(bundle.path, "cpu") is load(bundle.path, "cpu")


def test_a_bundle_made_again_in_its_place_is_loaded_again(bundle: Bundle, tmp_path: Path) -> None:
    """As where a damaged one was replaced while a worker lives."""
    place = shutil.copytree(bundle.path, tmp_path / "bundle")
    first = load(place, "cpu")
    assert load(place, "cpu") is first
    again = shutil.copytree(bundle.path, tmp_path / "again")
    tensors = {name: tensor.clone() for name, tensor in map_tensors(again / WEIGHTS).items()}
    tensors["classifier.bias"] += 1
    write_tensors(tensors, again / WEIGHTS)
    shutil.rmtree(place)
    again.rename(place)
    second = load(place, "cpu")
    assert second is not first
    before, after = (one.model.classifier.bias for one in (first, second))
    assert torch.equal(after, before + 1)


def test_a_loaded_model_is_ready_to_be_called(bundle: Bundle) -> None:
    loaded = load(bundle.path, "cpu")
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    output = loaded(input_ids=torch.tensor([[2, 5, 3]]), attention_mask=torch.ones(1, 3, dtype=torch.int64))
    assert output.logits.shape == (1, 3)
    assert output.logits.is_inference()


def test_another_layout_than_the_drivers_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    """As after an upgrade of transformers on one side: here the worker's model has a layer more."""
    other = shutil.copytree(bundle.path, tmp_path / "bundle")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(ModelError, match=r"lays the model out differently \(16 names differ\): install the driver's"):
        load(other, "cpu")


def test_nothing_is_asked_of_a_hub(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("a connection"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection"))
    copy = shutil.copytree(bundle.path, tmp_path / "bundle")  # one that no test has loaded
    assert load(copy, "cpu").manifest == bundle.manifest
