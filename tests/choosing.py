"""Rows to choose tokens for, and the same chosen by transformers' own processors, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from engine.continuous.row import Row
from engine.generation.backend import Decoding, Prompt
from engine.generation.chooser import Chooser
from engine.generation.sampling import draw

NEVER = -float("inf")


@dataclass
class Allowing:
    """A grammar whose texts hold, at every step, one of the tokens that are listed for it; the last list stays."""

    steps: Sequence[Sequence[int]]
    step: int = 0

    def matcher(self) -> Allowing:
        return Allowing(self.steps)

    @property
    def allowed(self) -> Sequence[int]:
        return self.steps[min(self.step, len(self.steps) - 1)]

    def fill(self, mask: np.ndarray) -> None:
        for token in self.allowed:
            mask[token // 32] |= np.uint32(1 << token % 32).astype(np.int32)

    def accept(self, token: int) -> None:
        assert token in self.allowed
        self.step += 1


def row(prompt: Sequence[int] = (1,), key: int = 0, written: Sequence[int] = (), **asked: Any) -> Row:
    """A row that has written these tokens."""
    made = Row(Prompt(key, np.array(prompt, np.int64), Decoding(**{"max_tokens": 1000, **asked}), key))
    for token in written:
        made.append(token, -1.0)
    return made


def chooser() -> Chooser:
    return Chooser(SimpleNamespace(device=torch.device("cpu")))


def scores_of(logits: torch.Tensor, one: Row) -> torch.Tensor:
    """float32 [1, vocabulary]: one row's logits [vocabulary] after transformers' processors."""
    from transformers import generation as hf

    asked, size = one.prompt.decoding, len(logits)
    ids = torch.from_numpy(np.concatenate([one.prompt.ids, one.ids]))[None]
    scores = logits[None].clone()
    if bias := _inside(asked.logit_bias, size):
        scores = hf.SequenceBiasLogitsProcessor({(token,): value for token, value in bias.items()})(ids, scores)
    if asked.repetition_penalty != 1:
        scores = hf.RepetitionPenaltyLogitsProcessor(asked.repetition_penalty)(ids, scores)
    for token, count in zip(*np.unique(one.ids, return_counts=True), strict=True):  # OpenAI's formula
        scores[0, token] -= float(count) * asked.frequency_penalty
        scores[0, token] -= asked.presence_penalty
    if asked.min_tokens and asked.ends:
        ends = torch.tensor(asked.ends)
        scores = hf.MinNewTokensLengthLogitsProcessor(len(one.prompt.ids), asked.min_tokens, ends)(ids, scores)
    if one.matcher is not None:
        barred = np.setdiff1d(np.arange(size), one.matcher.allowed)  # type: ignore[attr-defined]
        scores[0, barred] = NEVER
    return scores if asked.temperature is None else _warped(scores, asked, ids)


class _TopP:
    """transformers' TopPLogitsWarper with a stable sort: which of equal scores its own leaves is not said."""

    def __init__(self, top_p: float) -> None:
        from transformers.generation import TopPLogitsWarper

        self.process = TopPLogitsWarper(top_p)

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        ordered, order = scores.sort(dim=-1, stable=True)
        # Of scores that are in order already, every sort keeps the order that matters: the number removed.
        kept = (self.process(ids, ordered) > NEVER).sum()
        removed = torch.arange(scores.shape[1]) < scores.shape[1] - kept
        return scores.masked_fill(torch.zeros_like(scores, dtype=torch.bool).scatter(1, order, removed[None]), NEVER)


def _warped(scores: torch.Tensor, asked: Decoding, ids: torch.Tensor) -> torch.Tensor:
    from transformers import generation as hf

    processors: list[Any] = [hf.TemperatureLogitsWarper(float(asked.temperature or 0))]
    processors += [hf.TopKLogitsWarper(asked.top_k)] if asked.top_k else []
    processors += [_TopP(asked.top_p)] if asked.top_p < 1 else []
    processors += [hf.MinPLogitsWarper(asked.min_p)] if asked.min_p else []
    for process in processors:
        scores = process(ids, scores)
    return scores


def _inside(bias: Mapping[int, float], size: int) -> dict[int, float]:
    return {token: float(value) for token, value in bias.items() if 0 <= token < size}


def alone(logits: torch.Tensor, one: Row) -> int:
    """The token that transformers' processors and our draw give one row, its end token where nothing is left."""
    scores = scores_of(logits, one)
    if not (scores > NEVER).any():
        return one.prompt.decoding.ends[0]
    if one.prompt.decoding.temperature is None:
        return int(scores.argmax())
    return int(draw(scores, torch.tensor([one.uniform], dtype=torch.float64)))


def follow(rows: Sequence[Row], logits: torch.Tensor, choose: Chooser) -> list[int]:
    """Chooses a step, compares it with every row alone, and appends it."""
    expected = [alone(one, each) for one, each in zip(logits, rows, strict=True)]
    found = choose(logits.clone(), rows)
    assert found.tokens.dtype == np.int64
    assert found.tokens.tolist() == expected
    logprobs = logits.log_softmax(dim=-1)
    np.testing.assert_allclose(found.logprob, logprobs[torch.arange(len(rows)), expected].numpy(), rtol=0, atol=2e-5)
    most = max(each.prompt.decoding.top_logprobs or 0 for each in rows)
    assert found.top_ids.shape == found.top_logprobs.shape == (len(rows), most)
    for at, each in enumerate(rows):
        told = each.prompt.decoding.top_logprobs or 0
        best = logprobs[at].topk(told)
        ids = found.top_ids[at, :told]
        assert len(set(ids.tolist())) == told
        np.testing.assert_allclose(found.top_logprobs[at, :told], best.values.numpy(), rtol=0, atol=2e-5)
        np.testing.assert_allclose(logprobs[at, ids].numpy(), best.values.numpy(), rtol=0, atol=2e-5)
        each.append(int(found.tokens[at]), float(found.logprob[at]))
    return expected
