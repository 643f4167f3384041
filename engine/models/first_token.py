"""Heads that read the first token alone: the last layer computes that token and nothing else.

A classifier of BERT's kin reads [CLS] from the last layer and drops all other tokens. Their keys and values are needed
there, their queries, attention and feed-forward are not: of MiniLM's six layers this leaves out a seventh of the
arithmetic, and not one number of the answer changes but by rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, Final


def first_token_only(model: Any) -> bool:
    """Makes the last layer of a loaded model compute its first token alone, in place. Runs in the worker.

    Only for a head that reads nothing else, with texts padded on the right. After it ``last_hidden_state`` is
    [items, 1, hidden]. Returns whether the architecture is one of those known to allow it; others stay as they are.
    """
    if hasattr(model, "hf_device_map"):  # accelerate brings each layer's inputs to it, by the forward it has
        return False
    if model.config._attn_implementation != "sdpa" or getattr(model.config, "is_decoder", False):
        return False
    forward = _FORWARDS.get(model.config.model_type)
    if forward is None:
        return False
    base = model.base_model
    stack = base.transformer if model.config.model_type == "distilbert" else base.encoder
    stack.layer[-1].forward = MethodType(forward, stack.layer[-1])
    return True


def _bert(layer: Any, hidden: Any, attention_mask: Any = None, *_: Any, **__: Any) -> Any:
    inner = layer.attention.self
    attended = _attend(inner, (inner.query, inner.key, inner.value), hidden, attention_mask)
    attended = layer.attention.output(attended, hidden[:, :1])
    return layer.feed_forward_chunk(attended)


def _distilbert(block: Any, hidden: Any, attention_mask: Any = None, **_: Any) -> Any:
    inner = block.attention
    attended = inner.out_lin(_attend(inner, (inner.q_lin, inner.k_lin, inner.v_lin), hidden, attention_mask))
    attended = block.sa_layer_norm(attended + hidden[:, :1])
    return block.output_layer_norm(block.ffn(attended) + attended)


def _attend(inner: Any, projections: tuple[Any, Any, Any], hidden: Any, mask: Any) -> Any:
    """What the first token takes from all: [items, 1, hidden]."""
    from torch.nn.functional import scaled_dot_product_attention

    query, key, value = (
        project(states).unflatten(-1, (-1, inner.attention_head_size)).transpose(1, 2)
        for project, states in zip(projections, (hidden[:, :1], hidden, hidden), strict=True)
    )
    rows = None if mask is None else mask[:, :, :1]
    attended = scaled_dot_product_attention(query, key, value, attn_mask=rows, scale=inner.scaling)
    return attended.transpose(1, 2).flatten(2)


#: Architecture → the forward of its last layer. Those named beside BERT have its code under other names.
_FORWARDS: Final[Mapping[str, Callable[..., Any]]] = {
    "bert": _bert,
    "roberta": _bert,
    "xlm-roberta": _bert,
    "camembert": _bert,
    "electra": _bert,
    "ernie": _bert,
    "distilbert": _distilbert,
}
