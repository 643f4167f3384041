"""A worker that Spark gives another GPU than before: it lets go of the one it had. Runs in the worker.

Workers are reused, and which GPU a task gets is Spark's choice each time. What a worker left on a GPU would lie there
beside the model of the task that has it now. Its CUDA context stays: about half a GiB, until the worker ends.
"""

from __future__ import annotations

import logging
import sys

log = logging.getLogger("embercast")

_devices: tuple[str, ...] = ()


def move(devices: tuple[str, ...]) -> None:
    """Says on which devices this process works from now on.

    Where these are others than before, every model that is kept is given up.
    """
    global _devices
    before, _devices = _devices, devices
    if before and before != devices:
        log.info("embercast moves from %s to %s", ", ".join(before), ", ".join(devices))
        release()
    if devices[0].startswith("cuda"):
        _select(devices[0])


def release() -> None:
    """Gives up every model that this process keeps, and their memory on devices. Imports nothing for it."""
    if "engine.vllm.start" in sys.modules:
        sys.modules["engine.vllm.start"].stop()
    if "engine.generation.backends" in sys.modules:
        sys.modules["engine.generation.backends"].forget()
    if "torch" in sys.modules:
        from engine.models import load

        load.forget()


def _select(device: str) -> None:
    """What asks for CUDA and names no number means this one."""
    import torch

    torch.cuda.set_device(device)
