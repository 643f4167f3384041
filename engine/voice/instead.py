"""Another function in place of torch's, for a block: how chance and padding are taken from a model's own pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any


def instead(replacements: Mapping[Callable[..., Any], Callable[..., Any]]) -> AbstractContextManager[Any]:
    """Within the block this thread's calls of these torch functions go to their replacements; other threads' do not.

    The model is not touched, so that others may run it meanwhile. A replacement may call what it replaces. Source:
    ``torch.overrides.TorchFunctionMode``, by which torch itself sets a default device.
    """
    from torch.overrides import TorchFunctionMode

    class Instead(TorchFunctionMode):  # type: ignore[misc]  # torch is Any here
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return replacements.get(func, func)(*args, **(kwargs or {}))

    made: AbstractContextManager[Any] = Instead()
    return made
