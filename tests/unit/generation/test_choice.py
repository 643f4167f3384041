"""What writes a task's texts: a table of machines, and what each gets and why."""

from __future__ import annotations

import re
from typing import Final

import pytest

from engine.device import Gpu, Hardware
from engine.errors import DeviceError, EmbercastError, ParameterError
from engine.generation.choice import check_backend, choose_backend
from engine.options import Compute
from engine.tasks.text_generation import TextGeneration

A100: Final = Gpu("NVIDIA A100-SXM4-40GB", (8, 0), 40 << 30)
V100: Final = Gpu("Tesla V100-SXM2-16GB", (7, 0), 16 << 30)
WRITES: Final = "text-generation"


def machine(*gpus: Gpu, vllm: str | None = "0.32.0") -> Hardware:
    return Hardware(cores=8, memory=32 << 30, gpus=gpus, vllm=vllm)


@pytest.fixture(autouse=True)
def _writes_with_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextGeneration, "backends", ("transformers", "vllm"))


@pytest.mark.parametrize(
    ("asked", "hardware", "device", "value", "reason"),
    [
        ("auto", machine(A100), "cuda:0", "vllm", "0.32.0 is installed, and there is NVIDIA A100-SXM4-40GB"),
        ("auto", machine(V100, A100), "cuda:1", "vllm", "0.32.0 is installed, and there is NVIDIA A100-SXM4-40GB"),
        ("auto", machine(), "cpu", "transformers", "vLLM needs a GPU"),
        ("auto", machine(A100), "cpu", "transformers", "vLLM needs a GPU"),
        ("auto", machine(A100, vllm=None), "cuda:0", "transformers", "vLLM is not installed on the executors"),
        (
            "auto",
            machine(A100, vllm="0.20.1rc2"),
            "cuda:0",
            "transformers",
            "vLLM 0.20.1rc2 is installed on the executors, 0.32 is needed",
        ),
        ("auto", machine(A100, vllm="1"), "cuda:0", "vllm", "1 is installed, and there is NVIDIA A100-SXM4-40GB"),
        (
            "auto",
            machine(V100, A100),
            "cuda:0",
            "transformers",
            "Tesla V100-SXM2-16GB has compute capability 7.0, vLLM needs 7.5",
        ),
        ("transformers", machine(A100), "cuda:0", "transformers", "asked for"),
        ("vllm", machine(A100), "cuda:0", "vllm", "asked for"),
        ("vllm", machine(V100, vllm=None), "cuda:0", "vllm", "asked for"),
    ],
)
def test_choice(asked: str, hardware: Hardware, device: str, value: str, reason: str) -> None:
    choice = choose_backend(asked, hardware, device, task=WRITES)
    assert choice is not None
    assert (choice.value, choice.reason) == (value, reason)


def test_a_task_that_vllm_does_not_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextGeneration, "backends", ("transformers",))
    choice = choose_backend("auto", machine(A100), "cuda:0", task=WRITES)
    assert str(choice) == "transformers (vLLM does not write text-generation)"


@pytest.mark.parametrize("task", ["text-classification", "pyfunc"])
def test_a_task_that_writes_nothing_has_no_backend(task: str) -> None:
    assert choose_backend("auto", machine(A100), "cuda:0", task=task) is None
    assert choose_backend("transformers", machine(A100), "cuda:0", task=task) is None


@pytest.mark.parametrize(
    ("device", "task", "error", "message"),
    [
        ("cpu", WRITES, DeviceError, "expected a GPU for backend vllm, the device is cpu: take auto or transformers"),
        ("cuda:0", "embeddings", ParameterError, "auto or transformers for embeddings, which vLLM can't write"),
        ("cuda:0", "pyfunc", ParameterError, "auto or transformers for pyfunc, which vLLM can't write"),
    ],
)
def test_refused_on_the_driver(device: str, task: str, error: type[EmbercastError], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        choose_backend("vllm", machine(A100), device, task=task)


def test_the_worker_has_what_the_driver_chose_or_says_so() -> None:
    for chosen in (None, "transformers"):
        check_backend(chosen, machine(vllm=None), "cpu")
    check_backend("vllm", machine(A100), "cuda:0")
    with pytest.raises(DeviceError, match=r"is not installed on the executors: install embercast\[vllm\] there"):
        check_backend("vllm", machine(A100, vllm=None), "cuda:0")
    with pytest.raises(DeviceError, match=r"vLLM 0\.9\.2 is installed on the executors, 0\.32 is needed"):
        check_backend("vllm", machine(A100, vllm="0.9.2"), "cuda:0")
    with pytest.raises(DeviceError, match="this worker sees none: give its executor one"):
        check_backend("vllm", machine(), "cpu")


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ParameterError, match="expected backend to be one of auto, transformers, vllm; got 'llama'"):
        Compute(backend="llama")
