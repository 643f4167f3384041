"""Attention of one step: rows that write look at their lanes, prompts that are read at what is before them.

transformers calls ``attend`` in every layer through its registry of attention functions, with the tokens of a step in
one line [1, heads, tokens, size]. Outside of a step nothing is changed. Runs on the device.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from engine.continuous.step import Step

#: By which transformers knows the function.
NAME: Final = "embercast"
#: What a layer may ask of attention beside that which is done here, with the values that ask for nothing.
_NOTHING: Final = (None, 0, 0.0, False)
_KNOWN: Final = frozenset(
    ("position_ids", "use_cache", "cache_position", "output_attentions", "output_hidden_states", "is_causal")
)
_RUNNING = threading.local()


@contextmanager
def attending(model: Any, step: Step) -> Iterator[None]:
    """Within the block the model's layers attend as this step says. Only this thread may call the model meanwhile."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
    before = model.config._attn_implementation
    model.config._attn_implementation = NAME
    _RUNNING.step, _RUNNING.device = step, model.device
    try:
        yield
    finally:
        _RUNNING.step = None
        model.config._attn_implementation = before


def attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Any = None,
    **asked: Any,
) -> tuple[Any, None]:
    """query [1, heads, tokens, size], key and value [1, key heads, tokens, size] → [1, tokens, heads, size].

    Raises NotImplementedError where a layer asks for something else (a bias of scores, say): such a model is not
    run in this way (``engine.continuous.support``).
    """
    other = [name for name, value in asked.items() if name not in _KNOWN and not _nothing(value)]
    if other or attention_mask is not None:
        raise NotImplementedError(f"attention with {', '.join(other) or 'a mask of its own'}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # A layer may lie on another GPU than the keys and values, which are all on the model's first.
    here = _RUNNING.device
    call = Call(module.layer_idx, scale, sliding_window, softcap, None if s_aux is None else s_aux.to(here))
    out = _RUNNING.step.attend(call, *(one[0].to(here) for one in (query, key, value)))
    return out.transpose(0, 1).unsqueeze(0).to(query.device), None


def _nothing(value: Any) -> bool:
    return not hasattr(value, "shape") and value in _NOTHING


class Call:
    """What a layer asks: its index, the scale of scores, the window of keys that are seen, the cap of scores and, for
    each head, the logit of a sink that takes part in the softmax and adds nothing (gpt-oss)."""

    __slots__ = ("layer", "scale", "sinks", "softcap", "window")

    def __init__(
        self, layer: int, scale: float, window: int | None = None, softcap: float | None = None, sinks: Any = None
    ) -> None:
        self.layer = layer
        self.scale = float(scale)
        self.window = window
        self.softcap = softcap
        self.sinks = sinks

    @property
    def plain(self) -> bool:
        """Whether torch's own attention does it."""
        return self.softcap is None and self.sinks is None


def product(call: Call, query: Any, key: Any, value: Any, seen: Any) -> Any:
    """query [rows, heads, tokens, size] over key and value [rows, key heads, keys, size] → like query.

    Args:
        seen: bool, broadcast to [rows, heads, tokens, keys]; None where every key up to the query's own is seen.
    """
    import torch

    if not call.plain:
        return _weighed(call, query, key, value, seen)
    return torch.nn.functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=seen,
        is_causal=seen is None,
        scale=call.scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def tells_sums(call: Call, query: Any) -> bool:
    """Whether ``summed`` does it: torch's attention for CPUs tells the sums that two parts are joined by."""
    return call.plain and query.device.type == "cpu"


def summed(call: Call, query: Any, key: Any, value: Any, bias: Any) -> tuple[Any, Any]:
    """Like ``product``, with the logarithm of each softmax's sum [rows, heads, tokens]; ``bias`` is added to scores."""
    import torch

    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    found: tuple[Any, Any] = flash(query, key, value, 0.0, False, attn_mask=bias, scale=call.scale)
    return found


def joined(one: Any, one_sum: Any, other: Any, other_sum: Any) -> Any:
    """Attention over two sets of keys, of that over each and the logarithms of their sums (Dao et al., 2022)."""
    return one.lerp(other, (other_sum - one_sum).sigmoid().unsqueeze(-1).to(one.dtype))


def softmax(call: Call, scores: Any, seen: Any) -> Any:
    """Products of queries and keys [rows, key heads, group, tokens, keys] → weights, float32; ``seen`` is broadcast."""
    import torch

    scores = scores.float() * call.scale
    if call.softcap is not None:
        scores = (scores / call.softcap).tanh() * call.softcap
    scores = scores.masked_fill_(~seen, -float("inf"))
    if call.sinks is None:
        return scores.softmax(dim=-1)
    sinks = call.sinks.float().view(1, *scores.shape[1:3], 1, 1).expand(*scores.shape[:-1], 1)
    return torch.cat([scores, sinks], dim=-1).softmax(dim=-1)[..., :-1]


def _weighed(call: Call, query: Any, key: Any, value: Any, seen: Any) -> Any:
    import torch

    rows, heads, tokens, size = query.shape
    if seen is None:
        seen = torch.ones(tokens, tokens, dtype=torch.bool, device=query.device).tril()
    grouped = query.reshape(rows, key.shape[1], -1, tokens, size)
    weights = softmax(call, grouped @ key.unsqueeze(2).transpose(-1, -2), seen.unsqueeze(-3)).to(value.dtype)
    return (weights @ value.unsqueeze(2)).reshape(rows, heads, tokens, -1)
