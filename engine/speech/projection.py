"""The product of a few rows with the whole vocabulary: the larger half of a step on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

#: Rows that the weights are laid out for; more and fewer are no slower than with the weights as they lie.
_ROWS: Final = 8


def projection(linear: Any) -> Callable[[Any], Any]:
    """Hidden states [rows, width] → logits [rows, vocabulary], as ``linear``, a layer without bias, gives them.

    In float32 on a CPU its weights are laid out anew for oneDNN, a copy in the worker's own memory (80 MB for Whisper
    tiny): the product of 8 rows takes half the time then, and writing 37 % less, measured on a Zen 3 with AVX2. Where
    torch lacks oneDNN, on other devices and in other dtypes it is the layer itself.
    """
    import torch

    weight = linear.weight
    plain = type(linear) is torch.nn.Linear and linear.bias is None
    if not plain or weight.device.type != "cpu" or weight.dtype != torch.float32:
        return linear  # type: ignore[no-any-return]
    if not torch.backends.mkldnn.is_available():
        return linear  # type: ignore[no-any-return]
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), _ROWS)

    def project(hidden: Any) -> Any:
        return torch.ops.mkldnn._linear_pointwise(hidden, packed, None, "none", [], "")

    return project
