"""A model over several devices: which layer goes where, and the same answers with layers that stay in the file.

No GPU is here: what is tested by running is a device and the file beside it, with the CPU for the device.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine.errors import DeviceError
from engine.models.bundle import Bundle, make_bundle
from engine.models.first_token import first_token_only
from engine.models.load import LoadedModel, load
from engine.models.registry import resolve
from engine.models.spread import FILE, Spread, device_map
from engine.options import Request
from engine.scorer import Scorer
from engine.tasks import TASKS, task_class
from tests import chats, generation, tiny
from tests.conformance import base as conformance
from tests.scoring import rows

BODIES = ["a good day", "the plot is thin and the end comes late", "fine", "a good day", "call me first"]
LAYERS = 4
#: Of the weights, what the device has room for.
SHARE = 0.7


class Case(NamedTuple):
    """A task's head, the inputs of its rows, and its parameters."""

    head: str
    inputs: dict[str, list[Any]]
    params: dict[str, Any]
    config: dict[str, Any]


CASES = {
    "text-classification": Case("SequenceClassification", {"text": BODIES}, {}, {}),
    "token-classification": Case("TokenClassification", {"text": BODIES}, {}, {}),
    "reranking": Case("SequenceClassification", {"query": BODIES, "passage": BODIES[::-1]}, {}, {"num_labels": 1}),
    "embeddings": Case("", {"text": BODIES}, {}, {}),
    "list-embeddings": Case("", {"texts": [BODIES, BODIES[:1]]}, {}, {}),
    "llm/v1/embeddings": Case("", {"input": BODIES}, {}, {}),
    "text-generation": Case("writes", {"prompt": BODIES}, {"max_new_tokens": 6}, {}),
    "llm/v1/completions": Case("writes", {"prompt": BODIES}, {"max_new_tokens": 6}, {}),
    "llm/v1/chat": Case("answers", {"messages": BODIES}, {"max_tokens": 6}, {}),
}


def bundle_of(home: Path, task: str) -> Bundle:
    case, folder = CASES[task], home / "model"
    if case.head == "writes":
        generation.save(folder, "llama", num_hidden_layers=LAYERS)
    elif case.head == "answers":
        chats.save(folder, num_hidden_layers=LAYERS)
    else:
        tiny.save(folder, "bert", head=case.head, num_hidden_layers=LAYERS, **case.config)
    (home / "cache").mkdir()
    return make_bundle(resolve(str(folder), task=task), "float32", root=home / "cache")


def size_of(model: Any) -> int:
    return sum(parameter.nbytes for parameter in model.parameters())


def away_of(loaded: LoadedModel) -> list[str]:
    return [name for name, one in loaded.model.named_parameters() if one.device.type == "meta"]


def scored(loaded: LoadedModel, task: str) -> list[dict[str, Any] | None]:
    _, inputs, params, _ = CASES[task]
    request = Request(inputs={name: name for name in inputs}, params=params)
    return rows(Scorer(task_class(task)(loaded), request, batch_tokens=64), **inputs)


#: Floats are within 1e-5: a whole classifier's last layer computes one token alone, a spread one's all.
assert_same = partial(conformance.assert_same, but=frozenset())


@pytest.mark.parametrize("task", sorted(name for name in TASKS if task_class(name).spreads))
def test_layers_that_stay_in_the_file_change_no_answer(tmp_path: Path, task: str) -> None:
    bundle = bundle_of(tmp_path, task)
    whole = load(bundle.path, "cpu")
    expected = scored(whole, task)
    assert all(row is not None and row["error"] is None for row in expected)
    spread = load(bundle.path, "cpu", spread=Spread(("cpu",), int(size_of(whole.model) * SHARE), offload=True))
    away = away_of(spread)
    assert set(spread.model.hf_device_map.values()) == {"cpu", FILE}
    assert away
    assert_same(scored(spread, task), expected)
    assert away_of(spread) == away  # what was brought for a micro-batch is away again


def test_a_spread_head_reads_every_token(tmp_path: Path) -> None:
    """Which takes more arithmetic: accelerate brings a layer's inputs to it by the forward that it has."""
    bundle = bundle_of(tmp_path, "text-classification")
    whole = load(bundle.path, "cpu").model
    spread = load(bundle.path, "cpu", spread=Spread(("cpu",), int(size_of(whole) * SHARE), offload=True)).model
    assert (first_token_only(spread), first_token_only(whole)) == (False, True)


def test_blocks_go_to_the_gpus_in_their_order(tmp_path: Path) -> None:
    model = load(bundle_of(tmp_path, "text-generation").path, "cpu").model
    gpus = ("cuda:0", "cuda:1")
    where = device_map(model, Spread(gpus, size_of(model)))
    assert where["model.embed_tokens"] == "cuda:0"  # inputs come to the first
    layers = [where[f"model.layers.{at}"] for at in range(LAYERS)]
    assert layers == sorted(layers)
    assert set(layers) == set(where.values()) == set(gpus)


def test_other_gpus_than_the_first_are_named_by_their_number(tmp_path: Path) -> None:
    model = load(bundle_of(tmp_path, "text-generation").path, "cpu").model
    assert set(device_map(model, Spread(("cuda:2", "cuda:5"), size_of(model))).values()) == {"cuda:2", "cuda:5"}


def test_what_finds_no_room_is_refused(tmp_path: Path) -> None:
    path = bundle_of(tmp_path, "text-classification").path
    size = size_of(load(path, "cpu").model)
    with pytest.raises(DeviceError, match=r"of its parts find none: give the task more GPUs"):
        load(path, "cpu", spread=Spread(("cpu",), int(size * SHARE)))
    with pytest.raises(DeviceError, match="expected room for the model in"):
        load(path, "cpu", spread=Spread(("cpu",), 10, offload=True))
