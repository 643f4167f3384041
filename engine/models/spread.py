"""A model whose layers lie on several devices, by accelerate. Runs in the worker.

Layers that find no room stay in the file's mapping, which all workers of a host share, and are copied to the first
device when their turn comes. accelerate calls that place the disk; while the host has memory for the file it is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from engine.errors import DeviceError

#: What accelerate calls the place of weights that stay in the file.
FILE: Final = "disk"


@dataclass(frozen=True)
class Spread:
    """Where a model's layers may lie.

    Args:
        devices: ``cuda:N`` each, in the order that layers fill them; the first takes the inputs and gives the outputs.
        room: bytes of weights on each.
        offload: whether what finds no room may stay in the file.
    """

    devices: tuple[str, ...]
    room: int
    offload: bool = False


def dispatch(model: Any, spread: Spread, folder: str) -> Any:
    """Moves a model, whose parameters are mapped from its file, onto the devices. Afterwards it can't be moved.

    Raises DeviceError where the layers find no room: they don't divide as their sum does.
    """
    from accelerate import dispatch_model

    where = device_map(model, spread)
    on_file = [name for name, device in where.items() if device == FILE]
    first = next(iter(model.named_parameters()))[0]
    if (on_file and not spread.offload) or any(_within(first, name) for name in on_file):
        raise DeviceError(
            f"expected room for the model in {folder} on {', '.join(spread.devices)}, {spread.room / (1 << 30):.1f} "
            f"GiB each; {len(on_file)} of its parts find none: give the task more GPUs (compute.gpus_per_task), or "
            "larger ones"
        )
    tensors = {name: tensor.detach() for name, tensor in model.state_dict(keep_vars=True).items()}
    mapped = {name: tensor for name, tensor in tensors.items() if any(_within(name, part) for part in on_file)}
    return dispatch_model(
        model, where, main_device=spread.devices[0], state_dict=mapped, offload_index={}, force_hooks=True
    )


def device_map(model: Any, spread: Spread) -> dict[str, Any]:
    """Part of the model → a device, or ``FILE``; blocks are not torn apart, and no GPU gets much more than another."""
    from accelerate import infer_auto_device_map
    from accelerate.utils import get_balanced_memory

    model.tie_weights()
    whole = list(model._no_split_modules or ())
    room: dict[Any, int] = {_name(device): spread.room for device in spread.devices}
    balanced = get_balanced_memory(model, dict(room), no_split_module_classes=whole)
    for most in (balanced, room):  # balanced, the last GPU may lack room that the others have
        found = infer_auto_device_map(model, dict(most), no_split_module_classes=whole)
        if FILE not in found.values():
            break
    return {part: device if device == FILE else _device(device) for part, device in found.items()}


def _name(device: str) -> int | str:
    """As accelerate names it: a GPU by its number."""
    kind, _, index = device.partition(":")
    return int(index) if kind == "cuda" else device


def _device(name: int | str) -> str:
    return f"cuda:{name}" if isinstance(name, int) else name


def _within(name: str, part: str) -> bool:
    return part == "" or name == part or name.startswith(f"{part}.")
