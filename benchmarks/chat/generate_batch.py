"""transformers' continuous batching: what ``generate_batch`` runs, with a length for every request.

``generate_batch`` takes one ``max_new_tokens`` for all; its manager takes each request's own, and is otherwise driven
as ``generate_batch`` drives it, requests in the order that its prefix sharing wants included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.chat.loading import loaded
from benchmarks.chat.rows import Row
from benchmarks.chat.spec import Spec


class GenerateBatch:
    """A manager that lives as long as the process. ``options`` are those of ContinuousBatchingConfig.

    No token ends a request before its length: the end token counts as any other.
    """

    def __init__(self, spec: Spec) -> None:
        from transformers import ContinuousBatchingConfig, GenerationConfig

        self.model, _ = loaded(spec)
        config = GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0)
        options = ContinuousBatchingConfig(**spec.options)
        self.manager = self.model.init_continuous_batching(config, options)
        self.manager.warmup()
        self.manager.start()
        self.facts: dict[str, Any] = {"dtype": spec.dtype, **spec.options}

    def __call__(self, rows: Sequence[Row]) -> list[list[int]]:
        """The tokens written for each row. Raises RuntimeError where a request fails."""
        order = sorted(range(len(rows)), key=lambda i: rows[i].ids, reverse=True)
        for i in order:
            self.manager.add_request(rows[i].ids, request_id=str(i), max_new_tokens=rows[i].answer, eos_token_id=-1)
        written: dict[int, list[int]] = {}
        while len(written) < len(rows):
            found = self.manager.get_result(timeout=1)
            if found is None and not self.manager.is_running():
                raise RuntimeError("the manager of continuous batching ended before its requests")
            if found is None or not found.is_finished():
                continue
            if found.error is not None:
                raise RuntimeError(f"a request of continuous batching failed: {found.error}")
            written[int(found.request_id)] = list(found.generated_tokens)
        return [written[i] for i in range(len(rows))]

    def close(self) -> None:
        """Ends the manager's thread."""
        self.manager.stop(block=True, timeout=10)
