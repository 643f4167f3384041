"""The reference: eager torch alone. Tokens ready, sorted by length, a token budget; nothing of the engine.

It is what a careful person gets from torch with a script for one model, one table and no errors.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.text.spec import Spec
from benchmarks.text.texts import MOST_TOKENS

#: Padded tokens of a batch: the best on a CPU; on a GPU each is tried when the process starts and the fastest taken.
BUDGETS: Final = {"cpu": (4096,), "cuda": (16_384, 32_768, 65_536, 131_072)}


class Reference:
    """A model and the token ids of its texts, in memory. Calling it scores the first so many.

    Args:
        spec: names the model's folder and the device.
        texts: to score.
        dtype: of weights and activations, as torch names it.
    """

    def __init__(self, spec: Spec, texts: list[str], *, dtype: str) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.torch = torch
        self.device = spec.device
        loaded = AutoModelForSequenceClassification.from_pretrained(spec.model, dtype=getattr(torch, dtype))
        self.model = loaded.eval().to(spec.device)
        tokenizer = AutoTokenizer.from_pretrained(spec.model)
        found = tokenizer(texts, truncation=True, max_length=MOST_TOKENS)["input_ids"]
        self.ids = [torch.tensor(ids) for ids in found]
        self.pad = tokenizer.pad_token_id
        self.dtype = dtype
        self.padded = 0
        budgets = BUDGETS[spec.device]
        self.budget = budgets[0] if len(budgets) == 1 else min(budgets, key=self._seconds)

    def __call__(self, rows: int) -> list[str]:
        """The labels of the first ``rows`` texts."""
        torch = self.torch
        order = sorted(range(rows), key=lambda i: len(self.ids[i]), reverse=True)
        found = []
        self.padded = 0
        with torch.inference_mode():
            for batch in self._batches(order):
                found.append(self.model(**self._inputs(batch)).logits.argmax(dim=-1))
        best = torch.cat(found).tolist()  # waits for the device
        names = self.model.config.id2label
        by_row = dict(zip(order, best, strict=True))
        return [names[by_row[i]] for i in range(rows)]

    def facts(self) -> dict[str, Any]:
        """What it ran on, of the last pass: dtype, token budget and padding share."""
        tokens = sum(len(ids) for ids in self.ids)
        return {"dtype": self.dtype, "batch_tokens": self.budget, "padding": 1 - tokens / max(self.padded, 1)}

    def _batches(self, order: list[int]) -> Iterator[list[int]]:
        start = 0
        while start < len(order):
            longest = len(self.ids[order[start]])
            end = start + max(1, self.budget // longest)
            yield order[start:end]
            start = end

    def _inputs(self, batch: list[int]) -> dict[str, Any]:
        torch = self.torch
        ids = torch.nn.utils.rnn.pad_sequence([self.ids[i] for i in batch], True, self.pad)
        lengths = torch.tensor([len(self.ids[i]) for i in batch])
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        self.padded += ids.numel()
        return {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}

    def _seconds(self, budget: int) -> float:
        self.budget = budget
        self(len(self.ids))  # warms up
        start = time.perf_counter()
        self(len(self.ids))
        return time.perf_counter() - start
