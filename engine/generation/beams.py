"""Beam search, by transformers itself on the whole micro-batch."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from engine.batching import Index
from engine.generation.batch import Batch, Completion
from engine.generation.likelihood import logprobs
from engine.generation.settings import Settings
from engine.generation.stopping import Stopping


def search(model: Any, batch: Batch, settings: Settings, stopping: Stopping) -> list[tuple[Completion, ...] | None]:
    """The best ``settings.n`` completions of each row, best first; None where the model gave NaN or Inf."""
    import torch

    found: list[tuple[Completion, ...] | None] = [None] * len(batch)
    with torch.inference_mode():
        for rows in batch.groups(by_length=_padding_counts(settings)):
            part = batch.take(rows)
            written = [stopping.trimmed(ids) for ids in _search(model, part, settings, stopping)]
            scores = logprobs(model, part, [ids for ids, _ in written], settings.start)
            made = [Completion(*one, float(score)) for one, score in zip(written, scores, strict=True)]
            for at, row in enumerate(rows):
                mine = slice(at * settings.n, (at + 1) * settings.n)
                if np.isfinite(scores[mine]).all():
                    found[row] = tuple(made[mine])
    return found


def _padding_counts(settings: Settings) -> bool:
    """Whether transformers writes padded rows of one batch otherwise than each alone."""
    config = settings.config
    return settings.start is None or config.encoder_repetition_penalty != 1 or bool(config.encoder_no_repeat_ngram_size)


def _search(model: Any, batch: Batch, settings: Settings, stopping: Stopping) -> Index:
    """int64 [rows × n, steps], what was written, padded on the right."""
    import torch
    from transformers import GenerationConfig

    config = copy.copy(settings.config)
    # A whole batch has the same lengths: of one prompt length, or with its prompts in the encoder.
    new, fewest = int(batch.most[0]), int(batch.fewest[0])
    config.update(max_length=None, max_new_tokens=new, min_length=None, min_new_tokens=fewest or None)
    config.update(num_return_sequences=settings.n, pad_token_id=stopping.pad)
    # generate() would mix the model's own configuration in again; a shallow copy shares the weights.
    model = copy.copy(model)
    model.generation_config = GenerationConfig()
    width = batch.ids.shape[1] if settings.start is None else 1
    ids = model.generate(
        input_ids=torch.from_numpy(batch.ids).to(model.device),
        attention_mask=torch.from_numpy(batch.real).to(model.device),
        generation_config=config,
        stopping_criteria=stopping.criteria(width),
    )
    written: Index = ids[:, width:].cpu().numpy()
    return written
