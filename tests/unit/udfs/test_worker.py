"""What a worker makes of the backend that the driver chose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.device import Choice, Gpu, Hardware
from engine.errors import DeviceError
from engine.models.bundle import make_bundle
from engine.models.load import LoadedModel, load
from engine.models.registry import resolve
from engine.models.spread import Spread
from engine.options import Compute, Request
from engine.placement import Placement
from engine.schema import SCHEMAS
from tests import generation
from udfs import worker
from udfs.scoring import PreparedModel

GPU = Hardware(cores=2, memory=8 << 30, gpus=(Gpu("NVIDIA L4", (8, 9), 22 << 30),), vllm="0.32.0")


@dataclass
class Here:
    path: Path

    def folder(self) -> Path:
        return self.path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Here:
    folder = generation.save(tmp_path_factory.mktemp("model"), "llama", hidden_size=16)
    root = tmp_path_factory.mktemp("cache")
    return Here(make_bundle(resolve(str(folder), task="text-generation"), "float32", root=root).path)


def described(weights: Here, backend: str | None) -> worker.Descriptor:
    request = Request(inputs={"text": "body"})
    return worker.Descriptor("text-generation", request, Compute(), weights, backend=backend)


@pytest.fixture(autouse=True)
def _on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "detect", lambda: GPU)
    monkeypatch.setattr(worker, "_use_threads", lambda threads: None)
    monkeypatch.setattr(worker, "move", lambda devices: None)


def test_vllm_has_the_gpu_and_the_model_stays_mapped(weights: Here) -> None:
    task = described(weights, "vllm")._scorer().task
    loaded = task.loaded  # type: ignore[attr-defined]
    assert (loaded.backend, loaded.device, loaded.path) == ("vllm", "cuda:0", weights.path)
    assert {parameter.device.type for parameter in loaded.model.parameters()} == {"cpu"}


def test_a_worker_without_it_writes_nothing(weights: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "detect", lambda: Hardware(cores=2, memory=8 << 30, gpus=GPU.gpus))
    with pytest.raises(DeviceError, match="with which the driver plans to write; vLLM is not installed"):
        described(weights, "vllm")._scorer()


def test_what_the_driver_chose_travels(weights: Here) -> None:
    def prepared(backend: Choice[str] | None) -> PreparedModel:
        nothing: Any = SimpleNamespace(task="text-generation", known_as="models:/m/3")
        return PreparedModel(
            ref=nothing,
            bundle=nothing,
            weights=weights,
            params={},
            device=Choice("cuda:0", "the first visible GPU"),
            dtype=Choice("float32", "asked for"),
            hardware=GPU,
            compute=Compute(),
            schema=SCHEMAS["text-generation"],
            backend=backend,
        )

    assert prepared(Choice("vllm", "asked for")).descriptor({"text": "body"}).backend == "vllm"
    assert prepared(None).descriptor({"text": "body"}).backend is None


def test_a_model_is_spread_over_the_gpus_of_the_task(weights: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Spread | None]] = []

    def load_here(folder: Path, device: str, backend: str, spread: Spread | None) -> LoadedModel:
        asked.append((device, spread))
        return load(folder, "cpu")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(worker, "detect", lambda: replace(GPU, gpus=GPU.gpus * 3))
    monkeypatch.setattr(worker, "task_resources", lambda: (4, ("2", "0")))
    monkeypatch.setattr(worker, "load", load_here)
    placed = replace(described(weights, None), placement=Placement(gpus=2, cpus=4, room=1 << 30, offload=True))
    placed._scorer()
    replace(placed, placement=Placement(cpus=4))._scorer()
    assert asked == [("cuda:2", Spread(("cuda:2", "cuda:0"), 1 << 30, offload=True)), ("cuda:2", None)]


def test_the_choice_is_logged(weights: Here, caplog: pytest.LogCaptureFixture) -> None:
    worker._log_once.cache_clear()
    with caplog.at_level("INFO", "embercast"):
        described(weights, "vllm")._scorer()
    assert "texts by vllm" in caplog.text
