"""Writing token by token: the prompts once, then one token of every row a step; finished rows leave the batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from engine.batching import Index
from engine.generation.batch import Batch, Completion
from engine.generation.processors import Processors
from engine.generation.running import Running
from engine.generation.sampling import draw
from engine.generation.settings import Settings
from engine.generation.stopping import Stopping

#: Rows leave when so large a part is finished: leaving copies the cache once, as a step does; staying is computed.
_LEAVE: Final = 1 / 8


def write(model: Any, batch: Batch, settings: Settings, stopping: Stopping) -> list[Completion | None]:
    """The completion of each row; None where the model gave NaN or Inf. Runs on the device."""
    import torch

    completions: list[Completion | None] = [None] * len(batch)
    with torch.inference_mode():
        for rows in batch.groups(by_length=not settings.pads):
            for row, completion in _written(model, batch.take(rows), settings, stopping):
                completions[rows[row]] = completion
    return completions


def _written(model: Any, batch: Batch, settings: Settings, stopping: Stopping) -> Iterator[tuple[int, Completion]]:
    """The completions of a batch as they end, each with its row."""
    running = Running(model, batch, settings.start)
    processors = Processors(model, settings.config, running)
    while len(running):
        logits = running.logits()
        last = running.append(_next(running, logits, processors(logits)), logits)
        yield from _ended(running, last, settings, stopping)
        if _leaving(running, last):
            running.keep(np.flatnonzero(~running.finished))
            processors.renew()


def _next(running: Running, logits: Any, scores: Any) -> Any:
    """int64 [rows], the best or the drawn token; -1 where the logits are not numbers."""
    tokens = scores.argmax(dim=-1) if running.uniform is None else draw(scores, running.uniform[:, running.step])
    # The largest is NaN where any is, and infinite where nothing finite can be taken.
    return tokens.where(logits.amax(dim=-1).isfinite(), -1)


def _ended(running: Running, last: Index, settings: Settings, stopping: Stopping) -> Iterator[tuple[int, Completion]]:
    """The completions that this step ended, and marks their rows and those without a token as finished."""
    stopped = stopping.ended(running.written[:, : running.step])
    full = running.step >= running.most
    ending = ~running.finished & (stopped | full)
    if settings.config.forced_eos_token_id is not None:
        stopped &= ~full  # the end was forced where the length ended
    running.finished |= ending | (last < 0)
    if not ending.any():
        return
    logprobs = running.logprob.cpu().numpy()
    for at in np.flatnonzero(ending & (last >= 0)):
        ids = running.written[at, : running.step].copy()
        yield int(running.rows[at]), Completion(ids, "stop" if stopped[at] else "length", float(logprobs[at]))


def _leaving(running: Running, last: Index) -> bool:
    """Whether rows leave now: when many wait, and when one can't stay (it is full, or has no token)."""
    stuck = running.finished & ((running.step >= running.most) | (last < 0))
    return bool(stuck.any() or running.finished.mean() >= _LEAVE)
