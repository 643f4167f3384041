"""How likely texts are, and how many logits are held for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.generation import likelihood
from engine.generation.batch import Batch
from tests import tiny

PROMPT, TEXTS = 9, [[20, 21, 22], [23], [24, 25], [26, 27, 28]]


@pytest.fixture
def llama() -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(tiny.config("llama")).eval()


def batch() -> Batch:
    """Two prompts, each of them with two of the texts."""
    ids = np.arange(2 * PROMPT).reshape(2, PROMPT) + 30
    return Batch(ids, np.ones_like(ids), np.zeros(2, np.int64), np.full(2, 3))


@torch.inference_mode()
def logprobs(model: Any) -> list[float]:
    return likelihood.logprobs(model, batch(), [np.array(text) for text in TEXTS], None).tolist()


@torch.inference_mode()
def plain(model: Any) -> list[float]:
    """The same text by text."""
    found = []
    for prompt, text in zip(np.repeat(batch().ids, 2, axis=0).tolist(), TEXTS, strict=True):
        logits = model(input_ids=torch.tensor([prompt + text])).logits[0, PROMPT - 1 : -1]
        found.append(float(logits.log_softmax(dim=-1)[range(len(text)), text].sum()))
    return found


def shapes(model: Any, calls: list[tuple[int, ...]]) -> None:
    """Notes the shape of the logits of every call."""
    model.lm_head.register_forward_hook(lambda _module, _given, logits: calls.append(tuple(logits.shape)))


def test_a_prompt_has_no_logits_where_the_model_can_leave_them_out(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, vocabulary = plain(llama), llama.config.vocab_size
    calls: list[tuple[int, ...]] = []
    monkeypatch.setattr(likelihood, "_LOGITS", 2 * 3 * vocabulary)
    shapes(llama, calls)
    assert logprobs(llama) == pytest.approx(expected, abs=1e-5)
    assert calls == [(2, 3, vocabulary)] * 2


def test_a_prompt_counts_where_the_model_makes_its_logits(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, forward = plain(llama), llama.forward
    calls: list[tuple[int, ...]] = []
    vocabulary = llama.config.vocab_size

    def whole(input_ids: Any, attention_mask: Any = None, use_cache: bool = True) -> Any:
        return forward(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)

    monkeypatch.setattr(llama, "forward", whole)
    monkeypatch.setattr(likelihood, "_LOGITS", 2 * (PROMPT + 3) * vocabulary)
    shapes(llama, calls)
    assert logprobs(llama) == pytest.approx(expected, abs=1e-5)
    assert calls == [(2, PROMPT + 2, vocabulary)] * 2
