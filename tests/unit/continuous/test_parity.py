"""What the backend writes is what ``model.generate`` writes row by row, token for token, in float32."""

from __future__ import annotations

import numpy as np
import pytest

from engine.continuous import scheduler
from engine.continuous.alone import AloneBackend
from engine.continuous.backend import ContinuousBackend
from engine.continuous.limits import Limits
from engine.generation.backend import Backend, Prompt, Written
from tests import writers

#: So few rows and tokens at once that rows wait, lanes grow and prompts are read in pieces.
TIGHT = Limits(rows=6, piece=48, lane=4, tokens=1 << 13)


def check(backend: Backend, model: object, prompts: list[Prompt]) -> list[Written]:
    found = list(backend.generate(prompts))
    assert sorted(one.id for one in found if isinstance(one, Written)) == list(range(len(prompts)))
    texts = sorted((one for one in found if isinstance(one, Written)), key=lambda one: one.id)
    for prompt, text in zip(prompts, texts, strict=True):
        ids, logprob = writers.greedy(model, prompt)
        np.testing.assert_array_equal(text.ids, ids)
        assert text.logprob == pytest.approx(logprob, abs=1e-4 * max(1, len(ids)))
        ended = ids[-1] == writers.END
        assert text.finish_reason == ("stop" if ended else "length")
        assert text.prompt_tokens == len(prompt.ids)
    return texts


@pytest.mark.parametrize(
    ("architecture", "few"), [*((one, 2) for one in writers.ARCHITECTURES), ("llama", 9), ("gemma3_text", 9)]
)
def test_prompts_of_all_lengths_with_and_without_a_common_beginning(
    architecture: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_FEW", few)  # of seven rows: the beginning has lanes of its own, or is copied
    model = writers.model(architecture)
    alone = writers.prompts([5, 1, 70, 12, 300], most=90)
    together = writers.prompts([60, 41, 90, 5, 43, 250, 44], shared=40, seed=1, most=90)
    prompts = [Prompt(at, one.ids, one.decoding) for at, one in enumerate([*alone, *together, together[0]])]
    texts = check(ContinuousBackend(model, None, limits=TIGHT), model, prompts)
    # The row that begins with them first reads the 40 shared tokens, five others don't, and one has its twin's prompt.
    cached = sorted(text.cached_tokens for text in texts if text.cached_tokens)
    assert cached == [40, 40, 40, 40, 40, 40]


@pytest.mark.parametrize("architecture", ["llama", "gemma3_text", "gpt2"])
def test_a_prompt_of_two_thousand_tokens(architecture: str) -> None:
    model = writers.model(architecture)
    prompts = writers.prompts([2000, 5, 2000, 30], shared=1500, most=12)
    backend = ContinuousBackend(model, None, limits=Limits(rows=8, piece=256, lane=4, tokens=1 << 14))
    check(backend, model, prompts)


def test_a_model_of_a_kind_that_does_not_run_together_writes_alone() -> None:
    model = writers.model()
    check(AloneBackend(model, None), model, writers.prompts([5, 1, 30]))


def test_half_precision_writes_texts_of_like_probability() -> None:
    import torch

    full = writers.model()
    half = writers.model().to(torch.bfloat16)
    prompts = writers.prompts([5, 30, 60, 41], shared=20)
    for text in ContinuousBackend(half, None, limits=TIGHT).generate(prompts):
        assert isinstance(text, Written)
        own = writers.logprobs(full, prompts[text.id].ids, text.ids).sum()
        assert text.logprob == pytest.approx(own, abs=0.08 * len(text.ids))
