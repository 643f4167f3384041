"""This engine's backend alone: prompts in, tokens out; neither Spark nor the chat task around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.chat.rows import Row
from benchmarks.chat.spec import Spec


class Engine:
    """The backend that the engine takes for a model, over the bundle that it would send to a worker."""

    def __init__(self, spec: Spec) -> None:
        from engine.device import choose_device, choose_dtype, detect
        from engine.generation.backends import backend_of
        from engine.models.bundle import make_bundle
        from engine.models.load import load
        from engine.models.registry import resolve

        ref = resolve(spec.model, task="text-generation")
        device = choose_device(spec.device, detect()).value
        dtype = choose_dtype(spec.dtype, detect(), device).value
        loaded = load(make_bundle(ref, dtype).path, device)
        self.backend = backend_of(loaded)
        self.ends = (int(loaded.tokenizer.eos_token_id),)
        self.facts: dict[str, Any] = {"dtype": dtype, "backend": type(self.backend).__name__}

    def __call__(self, rows: Sequence[Row]) -> list[list[int]]:
        """The tokens written for each row. Raises the error of a row that can't be written."""
        from engine.generation.backend import Written

        written: dict[int, list[int]] = {}
        for result in self.backend.generate([self._prompt(i, row) for i, row in enumerate(rows)]):
            if not isinstance(result, Written):
                raise result[1]
            written[result.id] = result.ids.tolist()
        return [written[i] for i in range(len(rows))]

    def _prompt(self, number: int, row: Row) -> Any:
        from engine.generation.backend import Decoding, Prompt

        decoding = Decoding(max_tokens=row.answer, min_tokens=row.answer, ends=self.ends)
        return Prompt(number, np.array(row.ids, np.int64), decoding)
