"""Static batches: so many prompts at once, padded on the left, until the longest answer of them is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.chat.loading import loaded
from benchmarks.chat.rows import Row
from benchmarks.chat.spec import Spec


class Static:
    """``model.generate``, batch by batch. Of a batch every row takes as many steps as the longest; what is more than
    its own answer is thrown away, as it is where rows end by themselves.

    ``options``: batch, and sorted where batches are of prompts of like length.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.model, self.tokenizer = loaded(spec)
        self.facts: dict[str, Any] = {"dtype": spec.dtype, **spec.options}

    def __call__(self, rows: Sequence[Row]) -> list[list[int]]:
        """The tokens written for each row."""
        order = list(range(len(rows)))
        if self.spec.options.get("sorted"):
            order.sort(key=lambda i: len(rows[i].ids), reverse=True)
        written: dict[int, list[int]] = {}
        size = self.spec.options["batch"]
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            written |= zip(batch, self._batch([rows[i] for i in batch]), strict=True)
        return [written[i] for i in range(len(rows))]

    def _batch(self, rows: Sequence[Row]) -> list[list[int]]:
        padded = self.tokenizer.pad({"input_ids": [row.ids for row in rows]}, return_tensors="pt").to(self.spec.device)
        steps = max(row.answer for row in rows)
        found = self.model.generate(**padded, max_new_tokens=steps, min_new_tokens=steps, do_sample=False)
        new = found[:, padded["input_ids"].shape[1] :].tolist()
        return [ids[: row.answer] for ids, row in zip(new, rows, strict=True)]
