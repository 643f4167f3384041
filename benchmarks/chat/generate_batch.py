"""transformers' continuous batching: what ``generate_batch`` runs, with a length for every request.

``generate_batch`` takes one ``max_new_tokens`` for all; its manager takes each request's own, and is otherwise driven
as ``generate_batch`` drives it: made for the call, requests in the order that its prefix sharing wants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.chat.loading import loaded
from benchmarks.chat.rows import Row
from benchmarks.chat.spec import Spec


class GenerateBatch:
    """A manager for each call. ``options`` are those of ContinuousBatchingConfig.

    No token ends a request before its length: the end token counts as any other.
    """

    def __init__(self, spec: Spec) -> None:
        self.model, _ = loaded(spec)
        self.options = spec.options
        self.facts: dict[str, Any] = {"dtype": spec.dtype, **spec.options}

    def __call__(self, rows: Sequence[Row]) -> list[list[int]]:
        """The tokens written for each row. Raises RuntimeError where a request fails."""
        from transformers import ContinuousBatchingConfig, GenerationConfig

        config = GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0)
        options = ContinuousBatchingConfig(**self.options)
        with self.model.continuous_batching_context_manager(
            config, timeout=10, continuous_batching_config=options
        ) as manager:
            for i in sorted(range(len(rows)), key=lambda i: rows[i].ids, reverse=True):
                manager.add_request(rows[i].ids, request_id=str(i), max_new_tokens=rows[i].answer, eos_token_id=-1)
            return _results(manager, len(rows))


def _results(manager: Any, count: int) -> list[list[int]]:
    written: dict[int, list[int]] = {}
    while len(written) < count:
        found = manager.get_result(timeout=1)
        if found is None and not manager.is_running():
            raise RuntimeError("the manager of continuous batching ended before its requests")
        if found is None or not found.is_finished():
            continue
        if found.error is not None:
            raise RuntimeError(f"a request of continuous batching failed: {found.error}")
        written[int(found.request_id)] = list(found.generated_tokens)
    return [written[i] for i in range(count)]
