"""Whether a model's layers can be run in this way: tried on a few tokens, against the model as it is. In the worker."""

from __future__ import annotations

import inspect
from typing import Any, Final

from engine.continuous import attention
from engine.continuous.layout import Layer, Layout
from engine.continuous.step import causal

_TOKENS: Final = 8
#: The largest difference of logits, as a part of the largest logit: rounding, not another computation.
_APART: Final = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


class NotSupportedError(Exception):
    """The model's layers do something else; the message says what."""


def layout_of(model: Any) -> Layout:
    """The keys and values of a causal model of transformers.

    Raises NotSupportedError where it can't be run by ``engine.continuous``: no attention through transformers'
    registry, layers of another kind, or other logits than the model's own.
    """
    import torch

    takes = inspect.signature(model.forward).parameters
    if model.config.is_encoder_decoder or not {"position_ids", "logits_to_keep"} <= takes.keys():
        raise NotSupportedError("it takes no position_ids and logits_to_keep")
    ids = torch.arange(_TOKENS, device=model.device)[None] % model.config.get_text_config(decoder=True).vocab_size
    trial = _Trial()
    with torch.inference_mode():
        asked = {"input_ids": ids, "position_ids": torch.arange(_TOKENS, device=model.device)[None]}
        plain = model(**asked, use_cache=False).logits.float()
        try:
            with attention.attending(model, trial):  # type: ignore[arg-type]
                ours = model(**asked, use_cache=False).logits.float()
        except (NotImplementedError, AttributeError, TypeError) as error:
            raise NotSupportedError(str(error)) from error
    layers = sorted(trial.layers.items())
    if not layers or [at for at, _ in layers] != list(range(len(layers))):
        raise NotSupportedError(f"attention was asked for by layers {[at for at, _ in layers]}")
    if model.config.get_text_config(decoder=True).num_hidden_layers != len(layers):
        raise NotSupportedError("some of its layers have no attention")
    apart = float((ours - plain).abs().max() / plain.abs().max().clamp(min=1))
    if not apart <= _APART.get(str(model.dtype).removeprefix("torch."), 1e-4):
        raise NotSupportedError(f"its logits differ by {apart:.1e} of the largest")
    return Layout(tuple(layer for _, layer in layers), model.dtype, str(model.device))


class _Trial:
    """Takes a step's place: attends to the tokens themselves and notes what every layer has."""

    def __init__(self) -> None:
        self.layers: dict[int, Layer] = {}

    def attend(self, call: attention.Call, query: Any, key: Any, value: Any) -> Any:
        if call.layer in self.layers:
            raise NotImplementedError(f"attention asked for twice by layer {call.layer}")
        self.layers[call.layer] = Layer(key.shape[0], key.shape[2], value.shape[2])
        seen = causal(0, key.shape[1], call.window, key.device)
        return attention.product(call, query[None], key[None], value[None], seen)[0]
