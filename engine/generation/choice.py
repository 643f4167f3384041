"""What writes a task's texts, chosen with the reason why.

``choose_backend`` runs on the driver, of what it knows of a worker; what it chose travels to the workers, where
``check_backend`` looks whether it can be had. A worker never takes another one instead.
"""

from __future__ import annotations

import re
from typing import Final

from engine.device import Choice, Hardware, gpu_of
from engine.errors import DeviceError, ParameterError
from engine.tasks import is_foreign, task_class

#: What vLLM's releases since 0.21 are compiled for (its documentation, "GPU", requirements).
_CAPABILITY: Final = (7, 5)
#: The first release whose API ``engine.vllm`` speaks.
_RELEASE: Final = (0, 32)
_INSTALL: Final = "install embercast[vllm] there, or write compute.backend: transformers"


def choose_backend(asked: str, hardware: Hardware, device: str, *, task: str) -> Choice[str] | None:
    """transformers or vllm for a task that writes through a backend, None for every other.

    Args:
        asked: auto, transformers or vllm.
        hardware: of a worker.
        device: that was chosen for it, cpu or cuda:N.
        task: by name.

    Raises ParameterError where vLLM is asked for a task that it can't write, DeviceError for a CPU.
    """
    backends: tuple[str, ...] = () if is_foreign(task) else task_class(task).backends
    if asked == "vllm":
        if asked not in backends:
            raise ParameterError(f"expected backend auto or transformers for {task}, which vLLM can't write; got vllm")
        if device == "cpu":
            raise DeviceError("expected a GPU for backend vllm, the device is cpu: take auto or transformers")
        return Choice(asked, "asked for")
    if not backends:
        return None
    if asked == "transformers":
        return Choice(asked, "asked for")
    reason = _against_vllm(hardware, device) if "vllm" in backends else f"vLLM does not write {task}"
    if reason:
        return Choice("transformers", reason)
    return Choice("vllm", f"{hardware.vllm} is installed, and there is {gpu_of(device, hardware).name}")


def check_backend(chosen: str | None, hardware: Hardware, device: str) -> None:
    """Raises DeviceError where this worker can't have the backend that the driver chose. Runs in the worker."""
    if chosen != "vllm":
        return
    missing = _missing(hardware)
    if missing:
        raise DeviceError(f"expected vLLM on this worker, with which the driver plans to write; {missing}: {_INSTALL}")
    if device == "cpu":
        raise DeviceError(
            "expected a GPU for vLLM, with which the driver plans to write; this worker sees none: give its executor "
            "one, or write compute.backend: transformers"
        )


def _against_vllm(hardware: Hardware, device: str) -> str:
    """Why ``auto`` is not vLLM; empty where it is."""
    if device == "cpu":
        return "vLLM needs a GPU"
    missing = _missing(hardware)
    if missing:
        return missing
    gpu = gpu_of(device, hardware)
    if gpu.capability < _CAPABILITY:
        has, needs = (".".join(map(str, one)) for one in (gpu.capability, _CAPABILITY))
        return f"{gpu.name} has compute capability {has}, vLLM needs {needs}"
    return ""


def _missing(hardware: Hardware) -> str:
    """What there is not of vLLM; empty where it is installed."""
    if hardware.vllm is None:
        return "vLLM is not installed on the executors"
    major, minor, *_ = (int(part) for part in re.findall(r"\d+", f"{hardware.vllm}.0.0"))
    if (major, minor) < _RELEASE:
        return f"vLLM {hardware.vllm} is installed on the executors, {'.'.join(map(str, _RELEASE))} is needed"
    return ""
