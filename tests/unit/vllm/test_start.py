"""How vLLM's engine is started, kept and refused."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

import pytest

from engine.errors import DeviceError
from engine.generation.backends import backend_of
from engine.models.load import LoadedModel
from engine.vllm.backend import VllmBackend
from engine.vllm.folder import checkpoint
from engine.vllm.start import arguments, make
from tests.vllm_stand_in import LLM


def test_it_is_started_once_with_every_choice_made(loaded: LoadedModel) -> None:
    first, second = make(loaded), make(loaded)
    assert isinstance(first, VllmBackend)
    assert isinstance(second, VllmBackend)
    assert first.llm is second.llm
    (start,) = LLM.starts
    assert loaded.path is not None
    assert start == {
        "model": str(checkpoint(loaded.model, loaded.manifest)),
        "tokenizer": str(loaded.path / "tokenizer"),
        "dtype": "float32",
        "load_format": "safetensors",
        "trust_remote_code": False,
        "generation_config": "vllm",
        "max_model_len": -1,
        "gpu_memory_utilization": 0.9,
        "enable_prefix_caching": True,
        "max_logprobs": -1,
        "logprobs_mode": "raw_logprobs",
        "structured_outputs_config": {"backend": "guidance"},
        "seed": 0,
        "device_ids": None,
    }
    # In the worker's process, and without telling anybody.
    assert (os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"], os.environ["VLLM_NO_USAGE_STATS"]) == ("0", "1")


def test_a_model_that_was_loaded_for_it_is_written_with_it(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.generation.backends._make", lambda model, tokenizer: "the engine's own")
    assert isinstance(backend_of(loaded), VllmBackend)
    assert backend_of(replace(loaded, backend="transformers")) == "the engine's own"  # type: ignore[comparison-overlap]


def test_it_takes_the_gpu_of_the_task(loaded: LoadedModel) -> None:
    folder = checkpoint(loaded.model, loaded.manifest)
    assert arguments(folder, replace(loaded, device="cuda:2"))["device_ids"] == [2]
    assert "device_ids" not in arguments(folder, loaded)


def test_over_several_gpus_it_splits_every_layer(loaded: LoadedModel) -> None:
    told = arguments(checkpoint(loaded.model, loaded.manifest), replace(loaded, devices=("cuda:2", "cuda:3")))
    assert (told["device_ids"], told["tensor_parallel_size"]) == ([2, 3], 2)


def test_another_model_takes_the_place_of_the_first(loaded: LoadedModel) -> None:
    from engine.vllm import start

    first, second = make(loaded), make(replace(loaded, device="cuda:1"))
    assert [devices for _, devices in start._engines] == [("cuda:1",)]
    assert isinstance(first, VllmBackend)
    assert isinstance(second, VllmBackend)
    assert (first.llm.running, second.llm.running) == (False, True)


def test_the_model_here_stays_off_the_device(loaded: LoadedModel) -> None:
    assert (loaded.device, loaded.backend) == ("cuda:0", "vllm")
    assert {parameter.device.type for parameter in loaded.model.parameters()} == {"cpu"}


def test_where_it_is_missing_the_sentence_says_what_to_do(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(DeviceError, match=r"install embercast\[vllm\] there, or write compute.backend: transformers"):
        make(loaded)


def test_where_it_does_not_start_the_sentence_says_why(loaded: LoadedModel, stand_in: Any) -> None:
    def refuse(**_: Any) -> None:
        raise ValueError("No available memory for the cache blocks")

    stand_in.LLM = refuse
    with pytest.raises(DeviceError, match="on cuda:0, it raised ValueError: No available memory"):
        make(loaded)
