"""Whether a model's layers run in this way: tried on two short texts, against the model as it is. In the worker."""

from __future__ import annotations

import inspect
from typing import Any, Final

from engine.continuous import attention
from engine.continuous.layout import Layer, Layout
from engine.continuous.rope import longest
from engine.continuous.step import causal

#: Texts of the trial, which stand in one line as in a step, and the tokens of each.
_TEXTS: Final = 2
_TOKENS: Final = 4
#: The largest difference of logits, as a part of the largest logit: rounding, not another computation.
_APART: Final = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


class NotSupportedError(Exception):
    """The model's layers do something else; the message says what."""


def layout_of(model: Any) -> Layout:
    """The keys and values of a causal model of transformers.

    Raises NotSupportedError where it can't be run by ``engine.continuous``: no attention through transformers'
    registry, layers of another kind, windows that only a mask tells of, or other logits than the model's own.
    """
    import torch

    takes = inspect.signature(model.forward).parameters
    if model.config.is_encoder_decoder or not {"position_ids", "logits_to_keep"} <= takes.keys():
        raise NotSupportedError("it takes no position_ids and logits_to_keep")
    config, device = model.config.get_text_config(decoder=True), model.device
    ids = (torch.arange(_TEXTS * _TOKENS, device=device) % config.vocab_size).view(_TEXTS, _TOKENS)
    places = torch.arange(_TOKENS, device=device).expand(_TEXTS, _TOKENS)
    trial = _Trial()
    with torch.inference_mode():
        plain = model(input_ids=ids, position_ids=places, use_cache=False).logits.float().flatten(0, 1)
        try:
            with attention.attending(model, trial):  # type: ignore[arg-type]
                line = {"input_ids": ids.view(1, -1), "position_ids": places.reshape(1, -1)}
                ours = model(**line, use_cache=False).logits[0].float()
        except (NotImplementedError, AttributeError, TypeError) as error:
            raise NotSupportedError(str(error)) from error
    layers = _layers(trial, config)
    apart = float((ours - plain).abs().max() / plain.abs().max().clamp(min=1))
    if not apart <= _APART.get(str(model.dtype).removeprefix("torch."), 1e-4):
        raise NotSupportedError(f"its logits differ by {apart:.1e} of the largest")
    return Layout(layers, model.dtype, str(model.device), longest(model))


def _layers(trial: _Trial, config: Any) -> tuple[Layer, ...]:
    layers = sorted(trial.layers.items())
    if not layers or [at for at, _ in layers] != list(range(len(layers))):
        raise NotSupportedError(f"attention was asked for by layers {[at for at, _ in layers]}")
    if config.num_hidden_layers != len(layers):
        raise NotSupportedError("some of its layers have no attention")
    for at, _ in layers:
        if trial.windows[at] is None and not _sees_all(config, at):
            raise NotSupportedError(f"layer {at} is of a kind that is more than attention to all tokens or to a window")
    return tuple(layer for _, layer in layers)


def _sees_all(config: Any, layer: int) -> bool:
    """Whether a layer sees all tokens before one's own, by what its configuration says: those of a trial it does."""
    kinds, window = getattr(config, "layer_types", None), getattr(config, "sliding_window", None)
    if kinds:
        return bool(kinds[layer] == "full_attention")
    return not window or window >= (getattr(config, "max_position_embeddings", None) or window + 1)


class _Trial:
    """Takes a step's place: attends within each text and notes what every layer has."""

    def __init__(self) -> None:
        self.layers: dict[int, Layer] = {}
        self.windows: dict[int, int | None] = {}

    def attend(self, call: attention.Call, query: Any, key: Any, value: Any) -> Any:
        if call.layer in self.layers:
            raise NotImplementedError(f"attention asked for twice by layer {call.layer}")
        self.layers[call.layer] = Layer(key.shape[0], key.shape[2], value.shape[2])
        self.windows[call.layer] = call.window
        queries, keys, values = (one.unflatten(1, (_TEXTS, _TOKENS)).transpose(0, 1) for one in (query, key, value))
        out = attention.product(call, queries, keys, values, causal(0, _TOKENS, call.window, key.device))
        return out.transpose(0, 1).flatten(1, 2)
