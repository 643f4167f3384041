"""A model over several devices: which layer goes where, and the same answers with layers that stay in the file.

No GPU is here: what is tested by running is a device and the file beside it, with the CPU for the device.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import DeviceError
from engine.models.bundle import Bundle, make_bundle
from engine.models.load import LoadedModel, load
from engine.models.registry import resolve
from engine.models.spread import FILE, Spread, device_map
from engine.options import Request
from engine.scorer import Scorer
from engine.tasks import TASKS, task_class
from tests import generation, tiny
from tests.scoring import rows

BODIES = ["a good day", "the plot is thin and the end comes late", "", "fine", "a good day"]
HEADS = {
    "text-classification": "SequenceClassification",
    "reranking": "SequenceClassification",
    "token-classification": "TokenClassification",
    "embeddings": "",
}
#: Of a tiny model of four layers: about half of its weights.
LAYERS = 4


def bundle_of(home: Path, task: str, architecture: str = "bert") -> Bundle:
    if task in HEADS:
        one = {"num_labels": 1} if task == "reranking" else {}
        folder = tiny.save(home / "model", architecture, head=HEADS[task], num_hidden_layers=LAYERS, **one)
    else:
        folder = generation.save(home / "model", architecture, num_hidden_layers=LAYERS)
    return make_bundle(resolve(str(folder), task=task), "float32", root=home / "cache")


def size_of(model: Any) -> int:
    return sum(parameter.nbytes for parameter in model.parameters())


def scored(loaded: LoadedModel, task: str) -> list[Any]:
    inputs = {"text": BODIES} | ({"query": ["a good day"] * len(BODIES)} if task == "reranking" else {})
    if task == "llm/v1/chat":
        inputs = {"messages": BODIES}
    params = {"max_new_tokens": 6} if task == "text-generation" else {}
    made = Scorer(
        task_class(task)(loaded), Request(inputs={one: one for one in inputs}, params=params), batch_tokens=64
    )
    return rows(made, **inputs)


@pytest.mark.parametrize("task", sorted(name for name in TASKS if task_class(name).spreads))
def test_layers_that_stay_in_the_file_change_no_answer(tmp_path: Path, task: str) -> None:
    bundle = bundle_of(tmp_path, task, "bert" if task in HEADS else "llama")
    whole = load(bundle.path, "cpu")
    expected = scored(whole, task)
    room = int(size_of(whole.model) * 0.7)
    spread = load(bundle.path, "cpu", spread=Spread(("cpu",), room, offload=True))
    places = set(spread.model.hf_device_map.values())
    away = [name for name, one in spread.model.named_parameters() if one.device.type == "meta"]
    assert places == {"cpu", FILE}
    assert away
    assert scored(spread, task) == expected
    assert [name for name, one in spread.model.named_parameters() if one.device.type == "meta"] == away


def test_blocks_go_to_the_gpus_in_their_order(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "text-generation", "llama")
    model = load(bundle.path, "cpu").model
    gpus = ("cuda:0", "cuda:1")
    where = device_map(model, Spread(gpus, size_of(model)))
    assert list(where.items())[0] == ("model.embed_tokens", "cuda:0")
    assert {name for name, _ in model.named_modules() if name.count(".") == 2 and "layers" in name} <= where.keys()
    layers = [where[f"model.layers.{at}"] for at in range(LAYERS)]
    assert layers == sorted(layers)
    assert set(where.values()) == set(gpus)


def test_what_finds_no_room_is_refused(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "text-classification")
    size = size_of(load(bundle.path, "cpu").model)
    with pytest.raises(DeviceError, match=r"of its parts find none: give the task more GPUs"):
        load(bundle.path, "cpu", spread=Spread(("cpu",), int(size * 0.7)))
    with pytest.raises(DeviceError, match="expected room for the model in"):
        load(bundle.path, "cpu", spread=Spread(("cpu",), 10, offload=True))
