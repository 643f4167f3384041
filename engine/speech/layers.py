"""Whisper's decoder on keys and values that stay in place: transformers' modules hold the weights.

The arithmetic is that of transformers' ``WhisperDecoder`` with its sdpa attention. At one token a step that module
spends much of its time on masks, caches and checks that a segment's text doesn't need; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.speech.projection import projection
from engine.speech.states import Heard, States

#: Tokens that the self-attention's keys and values grow by.
_BLOCK: Final = 64


class Past:
    """Keys and values of the tokens so far: [layers, 2, rows, heads, room, size] on the device, grown in blocks."""

    def __init__(self, layers: Layers, rows: int) -> None:
        one = layers.modules[0].self_attn
        self.length = 0
        self.kept = layers.vectors.new_empty((len(layers.modules), 2, rows, one.num_heads, 0, one.head_dim))

    def grow(self, tokens: int) -> None:
        """Makes room for so many tokens more, and counts them in."""
        self.length += tokens
        if self.length > self.kept.shape[4]:
            shape = list(self.kept.shape)
            shape[4] = -(-self.length // _BLOCK) * _BLOCK
            larger = self.kept.new_empty(shape)
            larger[..., : self.kept.shape[4], :] = self.kept
            self.kept = larger

    def put(self, layer: int, keys: Any, values: Any) -> tuple[Any, Any]:
        """Puts those of the last tokens in their place; returns those of all so far."""
        held = self.kept[layer, :, :, :, : self.length]
        held[0, :, :, -keys.shape[2] :] = keys
        held[1, :, :, -keys.shape[2] :] = values
        return held[0], held[1]

    def keep(self, rows: Any) -> None:
        """Keeps these rows, int64 on the device."""
        self.kept = self.kept.index_select(2, rows)


class Layers:
    """The decoder of a Whisper. Runs on the model's device, in inference mode.

    Args:
        model: WhisperForConditionalGeneration.
    """

    def __init__(self, model: Any) -> None:
        decoder = model.model.decoder
        self.modules = list(decoder.layers)
        self.norm = decoder.layer_norm
        self.vectors = decoder.embed_tokens.weight
        self.positions = decoder.embed_positions.weight
        self.project = projection(model.proj_out)

    def room(self, segments: int, positions: int) -> States:
        """States of so many segments, not yet heard."""
        one = self.modules[0].encoder_attn
        rows, size = (segments, one.num_heads), one.head_dim
        keys = [self.vectors.new_empty((*rows, size, positions)) for _ in self.modules]
        values = [self.vectors.new_empty((*rows, positions, size)) for _ in self.modules]
        return States(tuple(keys), tuple(values))

    def hear(self, encoded: Any, states: States, rows: slice) -> None:
        """Puts encoder output [segments, positions, width] into these rows of the states."""
        for layer, keys, values in zip(self.modules, states.keys, states.values, strict=True):
            other = layer.encoder_attn
            keys[rows] = _heads(other, other.k_proj(encoded)).transpose(2, 3)
            values[rows] = _heads(other, other.v_proj(encoded))

    def __call__(
        self,
        ids: Any,
        positions: Any,
        past: Past,
        heard: Heard,
        *,
        mask: Any = None,
        watched: Mapping[int, Sequence[int]] | None = None,
        seen: list[Any] | None = None,
    ) -> Any:
        """The last hidden states [rows, tokens, width] of the next tokens.

        Args:
            ids, positions: int64 [rows, tokens].
            past: of the tokens before them; grows by them.
            heard: the segments they are written for.
            mask: bool, which of the tokens each may attend to; None where it is all before it.
            watched: layer → heads whose attention to the segment is put into ``seen``, float32 [rows, heads, tokens,
                positions], layer by layer.
        """
        past.grow(ids.shape[1])
        hidden = self.vectors[ids] + self.positions[positions]
        for number, layer in enumerate(self.modules):
            own, other = layer.self_attn, layer.encoder_attn
            normed = layer.self_attn_layer_norm(hidden)
            keys, values = past.put(number, _heads(own, own.k_proj(normed)), _heads(own, own.v_proj(normed)))
            taken = _attention(_queries(own, normed), keys, values, mask)
            hidden = hidden + own.out_proj(_merged(taken))
            weights = heard.weights(number, _queries(other, layer.encoder_attn_layer_norm(hidden)))
            if watched and seen is not None and number in watched:
                seen.append(weights[:, list(watched[number])].float())
            hidden = hidden + other.out_proj(_merged(heard.taken(number, weights)))
            inner = layer.activation_fn(layer.fc1(layer.final_layer_norm(hidden)))
            hidden = hidden + layer.fc2(inner)
        return self.norm(hidden)

    def logits(self, hidden: Any) -> Any:
        """float32 [rows, vocabulary] of hidden states [rows, width]."""
        return self.project(hidden).float()


def _heads(module: Any, projected: Any) -> Any:
    """[rows, tokens, width] → [rows, heads, tokens, size]."""
    rows, tokens, _ = projected.shape
    return projected.view(rows, tokens, module.num_heads, module.head_dim).transpose(1, 2)


def _queries(module: Any, hidden: Any) -> Any:
    return _heads(module, module.q_proj(hidden) * module.scaling)


def _merged(taken: Any) -> Any:
    """[rows, heads, tokens, size] → [rows, tokens, width]."""
    return taken.transpose(1, 2).flatten(2)


def _attention(queries: Any, keys: Any, values: Any, mask: Any) -> Any:
    """What scaled queries take from the tokens so far; without a mask each sees all before it."""
    from torch.nn.functional import scaled_dot_product_attention

    causal = mask is None and queries.shape[2] > 1
    return scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=causal, scale=1.0)
