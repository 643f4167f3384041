"""What one measured process is told: small, and travels as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One way of scoring, to be measured.

    Args:
        way: its name, in ``benchmarks.text.spark.WAYS`` of the task or ``benchmarks.text.team.WAYS``.
        texts: a JSON file with a list of texts; of lists of texts, where the task has several inputs.
        rows: how many of them, the first, a timed pass scores.
        cold_rows: the same for the first pass of the process.
        model: the model's folder, as ``save_pretrained`` writes it.
        logged: name of an MLflow log of the model → its URI; empty where no way needs MLflow.
        task: what is done with the texts.
        params: its parameters, as the engine names them.
        dtype: of the engine and of the reference; auto leaves the engine its choice.
        device: cpu or cuda.
        cores: Spark's, or the processes' together.
        processes: of the ways without Spark; each has an equal part of the cores.
    """

    way: str
    texts: str
    rows: int
    cold_rows: int
    model: str
    logged: dict[str, str]
    task: str = "text-classification"
    params: dict[str, Any] = field(default_factory=dict)
    dtype: str = "auto"
    device: str = "cpu"
    cores: int = 1
    processes: int = 1

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Spec:
        return cls(**json.loads(text))

    def read_texts(self) -> list[Any]:
        """The first ``rows`` texts."""
        read: list[Any] = json.loads(Path(self.texts).read_text(encoding="utf-8"))
        if len(read) < self.rows:
            raise ValueError(f"expected {self.rows} texts in {self.texts}, found {len(read)}")
        return read[: self.rows]
