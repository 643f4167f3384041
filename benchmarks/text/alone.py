"""The engine without Spark: Arrow batches through ``engine.scorer``, prefetch included."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from benchmarks.text.spec import Spec


class EngineAlone:
    """A scorer and a table of texts. Calling it scores the first so many, from strings to labels."""

    def __init__(self, spec: Spec, texts: list[str], *, dtype: str) -> None:
        from engine.device import choose_batch_tokens, detect
        from engine.models.bundle import make_bundle
        from engine.models.load import load
        from engine.models.registry import resolve
        from engine.options import Request
        from engine.scorer import Scorer
        from engine.tasks import task_class

        ref = resolve(spec.model, task="text-classification")
        loaded = load(make_bundle(ref, dtype).path, spec.device)
        sizes = {"hidden": loaded.manifest.hidden, "weight_bytes": loaded.manifest.weight_bytes}
        budget = choose_batch_tokens("auto", detect(), spec.device, **sizes).value
        self.scorer = Scorer(task_class(ref.task)(loaded), Request(inputs={"text": "text"}), batch_tokens=budget)
        self.table = pa.table({"text": pa.array(texts, pa.string())})
        self.dtype = dtype
        self.stats: list[Any] = []

    def __call__(self, rows: int) -> list[str]:
        """The labels of the first ``rows`` texts."""
        batches = self.table.slice(0, rows).to_batches(max_chunksize=10_000)  # as Spark cuts them
        labels: list[str] = []
        self.stats = []
        for scored in self.scorer.score(batches):
            labels += scored.result.field("label").to_pylist()
            self.stats.append(scored.stats)
        return labels

    def facts(self) -> dict[str, Any]:
        """What it ran on and what the last pass cost: dtype, token budget, padding share, seconds of each phase."""
        total = {name: sum(getattr(s, name) for s in self.stats) for name in ("tokens", "padded_tokens", "failed")}
        seconds = {name: sum(getattr(s, name) for s in self.stats) for name in ("encode_s", "forward_s", "decode_s")}
        padding = 1 - total["tokens"] / max(total["padded_tokens"], 1)
        budget = self.scorer.batch_tokens
        return {"dtype": self.dtype, "batch_tokens": budget, "padding": padding, "failed": total["failed"], **seconds}
