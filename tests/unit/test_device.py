"""Choices are functions of the hardware: a table of machines, and what each gets and why."""

from __future__ import annotations

import os
from typing import Any

import pytest

from engine.device import (
    Gpu,
    Hardware,
    choose_batch_tokens,
    choose_device,
    choose_dtype,
    choose_threads,
    detect,
)
from engine.errors import DeviceError

GIB = 1 << 30
A100 = Gpu("NVIDIA A100-SXM4-40GB", (8, 0), 40 * GIB)
MIG = Gpu("NVIDIA A100-SXM4-40GB MIG 1g.5gb", (8, 0), 5 * GIB)
T4 = Gpu("Tesla T4", (7, 5), 15 * GIB)

OLD_CPU = Hardware(cores=8, memory=32 * GIB)
BF16_CPU = Hardware(cores=8, memory=32 * GIB, bf16_flag="avx512_bf16")
AMX_CPU = Hardware(cores=8, memory=32 * GIB, bf16_flag="amx_bf16")


def with_gpus(*gpus: Gpu) -> Hardware:
    return Hardware(cores=8, memory=32 * GIB, bf16_flag="avx512_bf16", gpus=gpus)


@pytest.mark.parametrize(
    ("asked", "hardware", "address", "value", "reason"),
    [
        ("auto", OLD_CPU, None, "cpu", "no GPU is visible"),
        ("cpu", with_gpus(A100), "0", "cpu", "asked for"),
        ("auto", with_gpus(A100), None, "cuda:0", "the first visible GPU"),
        ("auto", with_gpus(A100, T4), "1", "cuda:1", "the address that Spark gave to the task"),
        ("cuda", with_gpus(A100, T4), "1", "cuda:1", "the address that Spark gave to the task"),
        ("cuda:1", with_gpus(A100, T4), "0", "cuda:1", "asked for"),
        ("auto", OLD_CPU, "0", "cpu", "no GPU is visible"),
        # A container shows the task's own GPU alone, under the number 0; the address is the host's.
        ("auto", with_gpus(T4), "3", "cuda:0", "the only GPU visible; Spark gave the task 3"),
        ("auto", with_gpus(MIG), "MIG-5c9f", "cuda:0", "the only GPU visible; Spark gave the task MIG-5c9f"),
    ],
)
def test_device(asked: str, hardware: Hardware, address: str | None, value: str, reason: str) -> None:
    choice = choose_device(asked, hardware, address=address)
    assert (choice.value, choice.reason) == (value, reason)
    assert str(choice) == f"{value} ({reason})"


@pytest.mark.parametrize(
    ("asked", "hardware", "address", "message"),
    [
        ("cuda", OLD_CPU, None, "the worker sees none: ask for cpu or auto"),
        ("cuda:0", OLD_CPU, None, "the worker sees none: ask for cpu or auto"),
        ("cuda:2", with_gpus(A100, T4), None, "expected one of cuda:0 to cuda:1, got cuda:2"),
        ("auto", with_gpus(A100, T4), "2", "expected one of cuda:0 to cuda:1, got cuda:2"),
        ("auto", with_gpus(MIG, MIG), "MIG-5c9f", "expected one of cuda:0 to cuda:1, got cuda:MIG-5c9f"),
    ],
)
def test_a_device_that_is_not_there(asked: str, hardware: Hardware, address: str | None, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        choose_device(asked, hardware, address=address)


@pytest.mark.parametrize(
    ("hardware", "device", "value", "reason"),
    [
        (OLD_CPU, "cpu", "float32", "a CPU without AVX512-BF16 or AMX"),
        (BF16_CPU, "cpu", "bfloat16", "the CPU has avx512_bf16"),
        (AMX_CPU, "cpu", "bfloat16", "the CPU has amx_bf16"),
        (with_gpus(A100), "cuda:0", "bfloat16", "NVIDIA A100-SXM4-40GB has compute capability 8.0"),
        (with_gpus(T4), "cuda:0", "float16", "Tesla T4 has compute capability 7.5, below 8.0"),
        (with_gpus(A100, T4), "cuda:1", "float16", "Tesla T4 has compute capability 7.5, below 8.0"),
        (with_gpus(MIG), "cuda:0", "bfloat16", "NVIDIA A100-SXM4-40GB MIG 1g.5gb has compute capability 8.0"),
        (with_gpus(A100), "cpu", "bfloat16", "the CPU has avx512_bf16"),
    ],
)
def test_dtype_of_the_hardware(hardware: Hardware, device: str, value: str, reason: str) -> None:
    choice = choose_dtype("auto", hardware, device)
    assert (choice.value, choice.reason) == (value, reason)


@pytest.mark.parametrize(
    ("asked", "logged", "device", "value", "reason"),
    [
        ("float32", "bfloat16", "cpu", "float32", "asked for"),
        ("bfloat16", None, "cpu", "bfloat16", "asked for"),
        ("float16", None, "cuda:0", "float16", "asked for"),
        ("auto", "bfloat16", "cpu", "float32", "logged as bfloat16, for which this CPU has no instructions"),
        ("auto", "bfloat16", "cuda:0", "bfloat16", "the logged model's dtype"),
        ("auto", "float16", "cuda:0", "float16", "the logged model's dtype"),
        ("auto", "float16", "cpu", "float32", "a CPU without AVX512-BF16 or AMX"),  # never float16 on a CPU
        ("auto", "float32", "cpu", "float32", "a CPU without AVX512-BF16 or AMX"),  # nobody's wish
        ("auto", "float32", "cuda:0", "bfloat16", "NVIDIA A100-SXM4-40GB has compute capability 8.0"),
    ],
)
def test_whose_dtype_wins(asked: str, logged: str | None, device: str, value: str, reason: str) -> None:
    hardware = Hardware(cores=8, memory=32 * GIB, gpus=(A100,))
    choice = choose_dtype(asked, hardware, device, logged=logged)
    assert (choice.value, choice.reason) == (value, reason)


def test_a_logged_bfloat16_is_kept_where_the_cpu_has_it() -> None:
    assert choose_dtype("auto", BF16_CPU, "cpu", logged="bfloat16").value == "bfloat16"


@pytest.mark.parametrize(("device", "logged"), [("cpu", "bfloat16"), ("cuda:0", "float16"), ("cuda:0", None)])
def test_auto_is_float32_for_a_task_that_half_precision_would_spoil(device: str, logged: str | None) -> None:
    choice = choose_dtype("auto", with_gpus(A100), device, logged=logged, half=False)
    assert (choice.value, choice.reason) == ("float32", "half precision would be heard in what this task makes")
    assert choose_dtype("bfloat16", with_gpus(A100), device, logged=logged, half=False).value == "bfloat16"


def test_float16_is_refused_on_a_cpu() -> None:
    with pytest.raises(DeviceError, match="expected float32 or bfloat16 on a CPU, got float16"):
        choose_dtype("float16", BF16_CPU, "cpu")


@pytest.mark.parametrize(
    ("asked", "task_cpus", "value", "reason"),
    [
        (3, 2, 3, "asked for"),
        ("auto", 2, 2, "spark.task.cpus"),
        ("auto", None, 8, "every core this process may run on"),
    ],
)
def test_threads(asked: Any, task_cpus: int | None, value: int, reason: str) -> None:
    choice = choose_threads(asked, OLD_CPU, task_cpus=task_cpus)
    assert (choice.value, choice.reason) == (value, reason)


@pytest.mark.parametrize(
    ("asked", "hardware", "device", "hidden", "weights", "value"),
    [
        (700, OLD_CPU, "cpu", 384, 0, 700),
        ("auto", OLD_CPU, "cpu", 384, 0, 4096),
        ("auto", with_gpus(A100), "cuda:0", 384, GIB, 106496),  # 39 GiB / 4 / (64 x 4 x 384)
        ("auto", with_gpus(A100), "cuda:0", 128, GIB, 131_072),  # the most
        ("auto", with_gpus(T4), "cuda:0", 4096, 14 * GIB, 2048),  # the least
        ("auto", with_gpus(T4), "cuda:0", 4096, 20 * GIB, 2048),  # weights larger than the memory
        ("auto", with_gpus(MIG), "cuda:0", 1024, GIB, 4096),
        ("auto", with_gpus(T4, A100), "cuda:1", 384, GIB, 106496),
    ],
)
def test_batch_tokens(asked: Any, hardware: Hardware, device: str, hidden: int, weights: int, value: int) -> None:
    choice = choose_batch_tokens(asked, hardware, device, hidden=hidden, weight_bytes=weights)
    assert choice.value == value
    assert choice.reason


def test_this_machine_is_seen() -> None:
    found = detect()
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.memory > GIB // 4
    assert found.bf16_flag in (None, "avx512_bf16", "amx_bf16")


def test_a_package_is_told_by_its_release() -> None:
    from importlib.metadata import version

    from engine.device import _installed

    assert _installed("numpy") == version("numpy")
    assert _installed("no-such-package") is None
