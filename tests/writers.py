"""Tiny causal models of random weights, and what plain transformers writes with them, one row at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
import transformers

from engine.batching import Index
from engine.generation.backend import Decoding, Prompt

VOCABULARY: Final = 120
END: Final = 2
_LLAMA: Final[Mapping[str, Any]] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "bos_token_id": 1,
    "eos_token_id": END,
    "pad_token_id": 0,
    "initializer_range": 0.4,  # texts that go on and do not repeat one token
}
_GPT2: Final[Mapping[str, Any]] = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4}
_EXPERTS: Final[Mapping[str, Any]] = {"num_local_experts": 4, "num_experts_per_tok": 2}
#: Architecture → class and configuration: plain, biased, with learned positions, windows, caps, sinks and experts.
ARCHITECTURES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "llama": ("Llama", _LLAMA),
    "qwen2": ("Qwen2", {**_LLAMA, "use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}),
    "qwen3": ("Qwen3", {**_LLAMA, "head_dim": 16}),
    "gpt2": ("GPT2", {**_GPT2, "n_positions": 4096, "eos_token_id": END, "initializer_range": 0.3}),
    "gemma2": ("Gemma2", {**_LLAMA, "head_dim": 16, "sliding_window": 16, "query_pre_attn_scalar": 16}),
    "gemma3_text": ("Gemma3", {**_LLAMA, "head_dim": 16, "sliding_window": 16, "sliding_window_pattern": 2}),
    "mixtral": ("Mixtral", {**_LLAMA, **_EXPERTS}),
    "gpt_oss": ("GptOss", {**_LLAMA, **_EXPERTS, "head_dim": 16, "sliding_window": 16}),
}


def model(architecture: str = "llama", **overrides: Any) -> Any:
    """A causal model of this architecture, float32, in eval mode: the same weights every time."""
    _, values = ARCHITECTURES[architecture]
    config = transformers.AutoConfig.for_model(architecture, **{**values, **overrides})
    torch.manual_seed(7)
    made = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    made.generation_config = transformers.GenerationConfig(eos_token_id=END, pad_token_id=0)
    return made


def greedy(model: Any, prompt: Prompt, **arguments: Any) -> tuple[Index, float]:
    """The tokens that ``model.generate`` writes after a prompt alone, and the sum of their log probabilities."""
    ids = torch.from_numpy(prompt.ids)[None]
    ends = list(prompt.decoding.ends) or None
    made = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=prompt.decoding.max_tokens,
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=0,
        **arguments,
    )
    written = made[0, len(prompt.ids) :].numpy()
    return written, float(logprobs(model, prompt.ids, written).sum())


def logprobs(model: Any, prompt: Index, written: Index) -> np.ndarray[Any, np.dtype[np.float32]]:
    """float32 [written], by one plain pass over prompt and text."""
    ids = torch.from_numpy(np.concatenate([prompt, written]))[None]
    with torch.inference_mode():
        logits = model(ids).logits[0, len(prompt) - 1 : -1].float().log_softmax(dim=-1)
    found = logits.gather(1, torch.from_numpy(written)[:, None])[:, 0].numpy()
    return np.asarray(found, np.float32)


def prompts(lengths: list[int], *, shared: int = 0, most: int = 24, seed: int = 0) -> list[Prompt]:
    """Random prompts of these lengths, of which every one that is longer begins with the same ``shared`` tokens."""
    random = np.random.default_rng(seed)
    beginning = random.integers(3, VOCABULARY, shared)
    made = []
    for at, length in enumerate(lengths):
        own = random.integers(3, VOCABULARY, length)
        if length > shared:
            own[:shared] = beginning
        made.append(Prompt(at, own, Decoding(max_tokens=2 + (at * 7) % most, ends=(END,))))
    return made
