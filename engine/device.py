"""Device, dtype, threads and token budget, each chosen with the reason why.

``detect`` runs where the model will run (an executor's Python worker); the choices are functions of what it saw, so
that ``plan`` on the driver and the worker choose alike. Reasons are logged once by the worker and printed by ``plan``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Generic, TypeVar

from engine.errors import DeviceError

T = TypeVar("T")

#: CPU flags with which bfloat16 matrix products are faster than float32 (twice on AVX512-BF16: docs/performance.md).
_BF16_FLAGS: Final = ("avx512_bf16", "amx_bf16")
#: The smallest micro-batch on a GPU in padded tokens, and what a token takes there for each number of its hidden state:
#: 64 hidden states of 4 bytes a number.
LEAST_TOKENS: Final = 2048
TOKEN_BYTES: Final = 64 * 4


@dataclass(frozen=True)
class Choice(Generic[T]):
    """What was chosen, and why."""

    value: T
    reason: str

    def __str__(self) -> str:
        return f"{self.value} ({self.reason})"


@dataclass(frozen=True)
class Gpu:
    """One visible CUDA device: compute capability as (major, minor), memory in bytes."""

    name: str
    capability: tuple[int, int]
    memory: int


@dataclass(frozen=True)
class Hardware:
    """What one worker sees. Picklable; memory in bytes; ``vllm`` is its release where it is installed."""

    cores: int
    memory: int
    bf16_flag: str | None = None
    gpus: tuple[Gpu, ...] = ()
    vllm: str | None = None


def detect() -> Hardware:
    """The hardware of the process that calls it. Imports torch only where an NVIDIA driver is loaded."""
    flags = _cpu_flags()
    return Hardware(
        cores=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        bf16_flag=next((flag for flag in _BF16_FLAGS if flag in flags), None),
        gpus=_gpus(),
        vllm=_installed("vllm"),
    )


def choose_device(asked: str, hardware: Hardware, *, address: str | None = None) -> Choice[str]:
    """``cpu`` or ``cuda:N``. ``address`` is the GPU that Spark gave to the task.

    A worker that sees one GPU takes it whatever its address: containers and MIG slices show a task its own GPU alone,
    under the number 0. Raises DeviceError where a GPU is asked for that is not visible.
    """
    if asked == "cpu":
        return Choice("cpu", "asked for")
    if asked.startswith("cuda") and not hardware.gpus:
        raise DeviceError(f"expected a CUDA device for device={asked}, the worker sees none: ask for cpu or auto")
    if asked.startswith("cuda:"):
        return Choice(_visible(asked, hardware), "asked for")
    if address is not None and len(hardware.gpus) > 1:
        return Choice(_visible(f"cuda:{address}", hardware), "the address that Spark gave to the task")
    if address not in (None, "0") and hardware.gpus:
        return Choice("cuda:0", f"the only GPU visible; Spark gave the task {address}")
    if hardware.gpus:
        return Choice(
            "cuda:0", "the first visible GPU" if address is None else "the address that Spark gave to the task"
        )
    return Choice("cpu", "no GPU is visible")


def _visible(device: str, hardware: Hardware) -> str:
    last = len(hardware.gpus) - 1
    if device not in [f"cuda:{i}" for i in range(last + 1)]:
        raise DeviceError(
            f"expected one of cuda:0 to cuda:{last}, got {device}: ask for a visible one, or let Spark's discovery "
            "script name GPUs by their number"
        )
    return device


def choose_dtype(
    asked: str, hardware: Hardware, device: str, *, logged: str | None = None, half: bool = True
) -> Choice[str]:
    """The dtype of the weights: the asked one wins over the logged model's, that over ``auto``.

    A logged float32 is what every model has that nobody cast, so it does not count as a wish. On a CPU without the
    instructions for it a logged half precision gives way to float32, which holds the same weights and is several times
    as fast there (docs/performance.md). float16 is never chosen on a CPU; asked for there, it raises DeviceError.
    Without ``half`` (``Task.half``) auto is float32 everywhere.
    """
    if asked == "auto" and not half:
        return Choice("float32", "half precision would be heard in what this task makes")
    if asked == "auto" and logged in ("float16", "bfloat16"):
        if device != "cpu" or (logged == "bfloat16" and hardware.bf16_flag):
            return Choice(logged, "the logged model's dtype")
        if logged == "bfloat16":
            return Choice("float32", "logged as bfloat16, for which this CPU has no instructions")
    if asked != "auto":
        if asked == "float16" and device == "cpu":
            raise DeviceError("expected float32 or bfloat16 on a CPU, got float16, which is slower there than float32")
        return Choice(asked, "asked for")
    if device != "cpu":
        gpu = gpu_of(device, hardware)
        capability = ".".join(map(str, gpu.capability))
        if gpu.capability >= (8, 0):
            return Choice("bfloat16", f"{gpu.name} has compute capability {capability}")
        return Choice("float16", f"{gpu.name} has compute capability {capability}, below 8.0")
    if hardware.bf16_flag:
        return Choice("bfloat16", f"the CPU has {hardware.bf16_flag}")
    return Choice("float32", "a CPU without AVX512-BF16 or AMX")


def choose_threads(asked: int | str, hardware: Hardware, *, task_cpus: int | None = None) -> Choice[int]:
    """CPU threads of one worker: what Spark gave to the task, not all the machine's."""
    if asked != "auto":
        return Choice(int(asked), "asked for")
    if task_cpus is not None:
        return Choice(task_cpus, "spark.task.cpus")
    return Choice(hardware.cores, "every core this process may run on")


def choose_batch_tokens(
    asked: int | str, hardware: Hardware, device: str, *, hidden: int, weight_bytes: int
) -> Choice[int]:
    """Padded tokens of one micro-batch.

    On a CPU rows/s rise until the activations leave the cache (figures: docs/performance.md). On a GPU as many as
    a quarter of the memory left beside the weights holds, at 64 hidden states of 4 bytes a number, at most 131,072.
    """
    if asked != "auto":
        return Choice(int(asked), "asked for")
    if device == "cpu":
        return Choice(4096, "CPU: the best of 512 to 8,192 measured")
    gpu = gpu_of(device, hardware)
    room = max(0, gpu.memory - weight_bytes) // 4 // (TOKEN_BYTES * max(hidden, 1))
    tokens = max(LEAST_TOKENS, min(131_072, room))
    return Choice(tokens, f"a quarter of what {gpu.name} has left beside the weights, at most 131,072")


def gpu_of(device: str, hardware: Hardware) -> Gpu:
    """The GPU that ``cuda:N`` means; the driver's N may be another worker's only one."""
    return hardware.gpus[int(device.partition(":")[2] or 0) if len(hardware.gpus) > 1 else 0]


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_flags() -> frozenset[str]:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return frozenset()
    for line in info.read_text().splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def _gpus() -> tuple[Gpu, ...]:
    if not Path("/proc/driver/nvidia").exists() and not Path("/dev/nvidiactl").exists():
        return ()
    import torch

    if not torch.cuda.is_available():
        return ()
    found = (torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count()))
    return tuple(Gpu(p.name, (p.major, p.minor), p.total_memory) for p in found)
