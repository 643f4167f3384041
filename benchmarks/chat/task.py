"""The engine's chat task without Spark: messages in, structs out, through ``engine.scorer``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from benchmarks.chat.rows import SYSTEM, Row
from benchmarks.chat.spec import Spec


class ChatTask:
    """A scorer of llm/v1/chat. ``options`` are parameters of it; without max_tokens each row has its own length."""

    def __init__(self, spec: Spec) -> None:
        from engine.device import choose_batch_tokens, choose_device, choose_dtype, detect
        from engine.models.bundle import make_bundle
        from engine.models.load import load
        from engine.models.registry import resolve
        from engine.options import Column, Request
        from engine.scorer import Scorer
        from engine.tasks import task_class

        ref = resolve(spec.model, task="llm/v1/chat")
        device = choose_device(spec.device, detect()).value
        dtype = choose_dtype(spec.dtype, detect(), device).value
        loaded = load(make_bundle(ref, dtype).path, device)
        length = Column("answer")
        lengths = {} if "max_tokens" in spec.options else {"max_tokens": length, "min_tokens": length}
        request = Request(
            inputs={"messages": "user"}, params={"system": SYSTEM, "temperature": 0.0, **lengths, **spec.options}
        )
        sizes = {"hidden": loaded.manifest.hidden, "weight_bytes": loaded.manifest.weight_bytes}
        budget = choose_batch_tokens("auto", detect(), device, **sizes).value
        self.scorer = Scorer(task_class(ref.task)(loaded), request, batch_tokens=budget)
        self.facts: dict[str, Any] = {"dtype": dtype}

    def __call__(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Of each row its text, its error's code (one of both is None) and the tokens that were written."""
        columns = {
            "user": pa.array([row.user for row in rows], pa.string()),
            "answer": pa.array([row.answer for row in rows], pa.int32()),
        }
        scored = self.scorer.score([pa.record_batch(columns)])
        return [_answer(struct) for one in scored for struct in one.result.to_pylist()]


def _answer(struct: dict[str, Any]) -> dict[str, Any]:
    if struct["error"] is not None:
        return {"text": None, "code": struct["error"]["code"], "tokens": 0}
    choice = struct["choices"][0]
    return {"text": choice["message"]["content"], "code": None, "tokens": struct["usage"]["completion_tokens"]}
