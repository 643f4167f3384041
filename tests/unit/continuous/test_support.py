"""Which models run together, and what is written with those that do so only up to a length, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers

from engine.continuous import support
from engine.continuous.alone import AloneBackend
from engine.continuous.backend import ContinuousBackend
from engine.continuous.limits import Limits
from engine.continuous.support import NotSupportedError, layout_of
from engine.generation.backend import Decoding, Prompt, Written
from tests import writers


def made(architecture: str, **values: Any) -> Any:
    _, sizes = writers.ARCHITECTURES["llama"]
    config = transformers.AutoConfig.for_model(architecture, **{**sizes, **values})
    torch.manual_seed(7)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    model.generation_config = transformers.GenerationConfig(eos_token_id=writers.END, pad_token_id=0)
    return model


def test_angles_that_change_with_the_length_of_a_text_change_no_other_text() -> None:
    """LongRoPE of 64 tokens: texts that stay below run together, others begin above, or get there while written."""
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [2.0, 4, 8, 16]}
    model = made("phi3", rope_parameters=rope, original_max_position_embeddings=64)
    prompts = [*writers.prompts([30, 5, 40, 12], most=20), *writers.prompts([150, 70], most=20)]
    prompts += [Prompt(6, writers.prompts([50], seed=3)[0].ids, Decoding(max_tokens=40))]
    prompts = [Prompt(at, one.ids, one.decoding) for at, one in enumerate(prompts)]
    backend = ContinuousBackend(model, None, limits=Limits(rows=8, piece=32, lane=8, tokens=1 << 12))
    assert backend.layout.longest == 64
    texts = {one.id: one.ids for one in backend.generate(prompts) if isinstance(one, Written)}
    assert texts.keys() == set(range(7))
    for prompt in prompts:
        np.testing.assert_array_equal(texts[prompt.id], writers.greedy(model, prompt)[0])


def test_a_window_that_only_a_mask_tells_of_is_not_overlooked() -> None:
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    windows = {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 2}
    assert len(layout_of(made("qwen2_moe", **experts)).layers) == 2
    with pytest.raises(NotSupportedError, match="more than attention"):
        layout_of(made("qwen2_moe", **experts, **windows))


def test_a_layer_that_mixes_tokens_beside_its_attention_would_mix_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Falcon-H1: every layer has attention, and a recurrent part beside it."""
    recurrent = {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 8}
    model = made("falcon_h1", **recurrent)
    with pytest.raises(NotSupportedError, match="more than attention"):
        layout_of(model)
    monkeypatch.setattr(support, "_sees_all", lambda config, layer: True)
    with pytest.raises(NotSupportedError, match="logits differ"):
        layout_of(model)


def test_a_model_with_recurrent_layers_writes_alone() -> None:
    recurrent = {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 8}
    model = made("falcon_h1", **recurrent)
    prompts = writers.prompts([5, 1, 30])
    texts = {one.id: one.ids for one in AloneBackend(model, None).generate(prompts) if isinstance(one, Written)}
    for prompt in prompts:
        np.testing.assert_array_equal(texts[prompt.id], writers.greedy(model, prompt)[0])
