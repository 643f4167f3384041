"""Models whose layers can't be run together here: every prompt on its own, through transformers' own cache.

For architectures with recurrent layers, position biases and the like (``engine.continuous.support`` says why). Slower,
and right. Runs in the worker.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from engine.batching import is_out_of_memory
from engine.continuous.rope import longest
from engine.continuous.row import Row, take
from engine.errors import RowError, non_finite
from engine.generation.backend import Follow, Prompt, Result, Written, rejected
from engine.generation.chooser import Chooser
from engine.generation.ending import Ending


class AloneBackend:
    """Writes with a causal model of transformers, one prompt after the other.

    Args:
        model: on its device, in eval mode.
        tokenizer: of it.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model
        self.choose = Chooser(model)
        self.ending = Ending(tokenizer)
        takes = inspect.signature(model.forward).parameters
        self.longest = longest(model)
        self.cached = "past_key_values" if "past_key_values" in takes else "cache_params"
        self.last = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}

    def generate(self, prompts: Sequence[Prompt], follow: Follow | None = None) -> Iterator[Result]:
        """See ``engine.generation.backend.Backend``."""
        for prompt in prompts:
            following: Prompt | None = prompt
            while following is not None:
                result = self._written(following)
                yield result
                following = follow(result) if follow is not None and isinstance(result, Written) else None

    def _written(self, prompt: Prompt) -> Result:
        import torch

        row = Row(prompt)
        try:
            with torch.inference_mode():
                return self._write(row)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return rejected(prompt, RowError("out_of_memory", "this row alone does not fit the memory: shorten it"))

    def _write(self, row: Row) -> Result:
        import torch

        prompt, cache, reason = row.prompt, None, None
        ids = prompt.ids
        while reason is None and prompt.decoding.max_tokens:
            there: dict[str, Any] = {} if cache is None else {self.cached: cache}
            read = torch.from_numpy(ids)[None].to(self.model.device)
            out = self.model(input_ids=read, use_cache=True, **self.last, **there)
            chosen = self.choose(out.logits[:, -1].float(), [row])
            if chosen.tokens[0] < 0:
                return rejected(prompt, non_finite())
            take(row, chosen, 0)
            cache, ids = getattr(out, self.cached), row.ids[-1:]
            if self.longest is not None and len(prompt.ids) + row.step == self.longest + 1:
                # From here on it turns every position otherwise, those that were read, too.
                cache, ids = None, np.concatenate([prompt.ids, row.ids])
            reason = self.ending(row)
        return row.result(reason or "length")
