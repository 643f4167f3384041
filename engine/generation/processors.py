"""What is done to logits before a token is taken: transformers' own processors, but for those that would see padding.

transformers writes rows of one batch as if their prompts were equally long: counts start at the padded length and
n-grams run over the padding. Here every row is treated as if it were alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeAlias

from engine.generation.running import Running

Process: TypeAlias = Callable[[Any], Any]


class Processors:
    """Logits float32 [rows, vocabulary] → scores, for the rows that run."""

    def __init__(self, model: Any, config: Any, running: Running) -> None:
        self.model = model
        self.config = copy.copy(config)
        self.running = running
        self.forced_end = config.forced_eos_token_id
        # Counted from each row's own start here, so not by transformers.
        self.config.update(min_length=0, min_new_tokens=None, forced_eos_token_id=None)
        model._prepare_special_tokens(self.config, True, device=running.ids.device)
        self.renew()

    def renew(self) -> None:
        """Makes the processors anew: some hold what the encoder read, row for row, and rows have left."""
        running = self.running
        if not len(running):
            return
        made = self.model._get_logits_processor(
            self.config,
            input_ids_seq_length=running.width,
            encoder_input_ids=None if running.source is None else _repeated(running.source, running.source_real),
            device=running.ids.device,
            model_kwargs={},
        )
        self.processes = [self._own(processor) for processor in made]

    def __call__(self, logits: Any) -> Any:
        scores = self._not_yet(logits.clone())
        for process in self.processes:
            scores = process(scores)
        return self._at_last(scores)

    def _own(self, processor: Any) -> Process:
        config, running = self.config, self.running
        kind = type(processor).__name__
        if kind == "RepetitionPenaltyLogitsProcessor":
            return lambda scores: penalised(scores, running.ids, running.real, config.repetition_penalty)
        if kind == "NoRepeatNGramLogitsProcessor":
            size = config.no_repeat_ngram_size
            return lambda scores: without_repeats(scores, running.ids, running.ids, running.real, size)
        if kind == "EncoderNoRepeatNGramLogitsProcessor":
            read, real, size = running.source, running.source_real, config.encoder_no_repeat_ngram_size
            return lambda scores: without_repeats(scores, running.ids, read, real, size)
        return lambda scores: processor(running.ids, scores)

    def _not_yet(self, scores: Any) -> Any:
        import torch

        if self.config._eos_token_tensor is None:
            return scores
        early = self.running.fewest > self.running.step
        # Some models name an end token that their vocabulary does not have.
        ends = torch.isin(torch.arange(scores.shape[1], device=scores.device), self.config._eos_token_tensor)
        return scores.masked_fill(early[:, None] & ends, -float("inf"))

    def _at_last(self, scores: Any) -> Any:
        import torch

        last = torch.from_numpy(self.running.most - 1 == self.running.step).to(scores.device)
        if self.forced_end is None or not last.any():
            return scores
        forced = torch.full_like(scores, -float("inf"))
        forced[:, self.forced_end] = 0.0
        return torch.where(last[:, None], forced, scores)


def penalised(scores: Any, ids: Any, real: Any, penalty: float) -> Any:
    """Scores [rows, vocabulary] of tokens among ``ids`` [rows, any] made less likely, those on padding left out."""
    seen = scores.new_zeros((len(scores), scores.shape[1] + 1), dtype=bool)
    seen.scatter_(1, ids.clamp(max=scores.shape[1]).masked_fill(real == 0, scores.shape[1]), True)
    return scores.where(~seen[:, :-1], (scores * penalty).where(scores < 0, scores / penalty))


def without_repeats(scores: Any, ids: Any, read: Any, real: Any, size: int) -> Any:
    """Scores [rows, vocabulary] in which no token ends an n-gram of this size that stands in ``read`` [rows, any]."""
    if ids.shape[1] + 1 < size or read.shape[1] < size:
        return scores
    windows = read.masked_fill(real == 0, -1).unfold(1, size, 1)
    begins = ids[:, ids.shape[1] + 1 - size :]
    banned = (windows[..., :-1] == begins[:, None]).all(dim=-1) & (windows >= 0).all(dim=-1)
    ends = windows[..., -1].clamp(max=scores.shape[1]).masked_fill(~banned, scores.shape[1])
    mask = scores.new_zeros((len(scores), scores.shape[1] + 1), dtype=bool).scatter_(1, ends, True)
    return scores.masked_fill(mask[:, :-1], -float("inf"))


def _repeated(ids: Any, real: Any) -> Any:
    """Tokens padded on the right, with each row's first one in place of the padding: the same set of tokens."""
    return ids.where(real == 1, ids[:, :1])
