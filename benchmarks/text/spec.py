"""What one measured process is told: small, and travels as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One way of scoring, to be measured.

    Args:
        way: its name, in ``benchmarks.text.spark.WAYS`` or ``benchmarks.text.team.WAYS``.
        texts: a JSON file with a list of texts.
        rows: how many of them, the first, a timed pass scores.
        cold_rows: the same for the first pass of the process.
        model: the classifier's folder, as ``save_pretrained`` writes it.
        logged: name of an MLflow log of the model → its URI; empty where no way needs MLflow.
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
    dtype: str = "auto"
    device: str = "cpu"
    cores: int = 1
    processes: int = 1

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Spec:
        return cls(**json.loads(text))

    def read_texts(self) -> list[str]:
        """The first ``rows`` texts."""
        read: list[str] = json.loads(Path(self.texts).read_text(encoding="utf-8"))
        if len(read) < self.rows:
            raise ValueError(f"expected {self.rows} texts in {self.texts}, found {len(read)}")
        return read[: self.rows]
