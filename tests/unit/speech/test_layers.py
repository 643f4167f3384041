"""The decoder's layers against transformers' own decoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engine.speech.layers import Layers, Past
from engine.speech.states import Heard
from tests import speech_models

_CONFIGS: list[dict[str, Any]] = [
    {"max_source_positions": 50},
    {
        "max_source_positions": 30,
        "d_model": 24,
        "decoder_layers": 3,
        "decoder_attention_heads": 2,
        "encoder_attention_heads": 3,
        "activation_function": "relu",
        "decoder_ffn_dim": 40,
    },
]


@pytest.fixture(scope="module", params=range(len(_CONFIGS)))
def model(request: pytest.FixtureRequest) -> Any:
    return speech_models.model(**_CONFIGS[request.param])[0]


def _encoded(model: Any, rows: int) -> Any:
    torch.manual_seed(1)
    return torch.randn(rows, model.config.max_source_positions, model.config.d_model)


def _states(layers: Layers, encoded: Any) -> Any:
    states = layers.room(len(encoded), encoded.shape[1])
    layers.hear(encoded, states, slice(None))
    return states


@pytest.mark.parametrize("prompt", [1, 5, 70])
def test_a_prompt_and_steps_are_transformers_own(model: Any, prompt: int) -> None:
    encoded = _encoded(model, 3)
    ids = torch.randint(0, 300, (3, prompt + 4))
    with torch.inference_mode():
        expected = model.model.decoder(ids, encoder_hidden_states=encoded, use_cache=False).last_hidden_state
        layers = Layers(model)
        past, heard = Past(layers, 3), Heard(_states(layers, encoded))
        at = torch.arange(prompt + 4).expand(3, -1)
        parts = [layers(ids[:, :prompt], at[:, :prompt], past, heard)]
        for step in range(prompt, prompt + 4):
            parts.append(layers(ids[:, step : step + 1], at[:, step : step + 1], past, heard))
        found = torch.cat(parts, dim=1)
        logits, plain = layers.logits(found[:, -1]), model.proj_out(expected[:, -1])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits, plain, rtol=1e-5, atol=1e-5)


def test_segments_that_leave_change_nothing_for_those_that_stay(model: Any) -> None:
    encoded = _encoded(model, 12)
    ids = torch.randint(0, 300, (12, 7))
    with torch.inference_mode():
        expected = model.model.decoder(ids, encoder_hidden_states=encoded, use_cache=False).last_hidden_state
        layers = Layers(model)
        past, heard = Past(layers, 12), Heard(_states(layers, encoded))
        rows = np.arange(12)
        for step, leaves in enumerate([[], [3], [7], [10], [5], [0, 1, 11], []]):
            stay = np.flatnonzero(~np.isin(rows, leaves))
            rows = rows[stay]
            heard.keep(stay)
            past.keep(torch.from_numpy(stay))
            found = layers(ids[rows, step : step + 1], torch.full((len(rows), 1), step), past, heard)
            torch.testing.assert_close(found[:, 0], expected[rows, step], rtol=1e-5, atol=1e-5)
    assert len(heard.stretches) <= 4


def test_attention_that_is_watched_is_what_eager_attention_says(model: Any) -> None:
    encoded = _encoded(model, 2)
    ids = torch.randint(0, 300, (2, 6))
    model.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            expected = model.model.decoder(
                ids, encoder_hidden_states=encoded, use_cache=False, output_attentions=True
            ).cross_attentions
    finally:
        model.set_attn_implementation("sdpa")
    seen: list[Any] = []
    with torch.inference_mode():
        layers = Layers(model)
        at = torch.arange(6).expand(2, -1)
        heard = Heard(_states(layers, encoded))
        layers(ids, at, Past(layers, 2), heard, watched={1: [0], 0: [1, 0]}, seen=seen)
    torch.testing.assert_close(seen[0], expected[0][:, [1, 0]], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(seen[1], expected[1][:, [0]], rtol=1e-5, atol=1e-6)
