"""What one measured process is told: small, and travels as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One way of answering chats, to be measured.

    Args:
        way: its name, in ``benchmarks.chat.case.WAYS``.
        kind: what a process of it runs, in ``benchmarks.chat.member.KINDS``; empty for a way in Spark.
        rows: a JSON file of chats (``benchmarks.chat.rows``).
        count: how many of them, the first, a pass answers.
        model: the model's folder, as ``save_pretrained`` writes it; for llama.cpp a GGUF file.
        dtype: of the weights; auto leaves the engine its choice.
        device: cpu or cuda.
        cores: Spark's, or the processes' together.
        processes: of a way without Spark; each has an equal part of the cores.
        python: that runs the processes; empty for this one.
        options: of the kind, as a batch's size.
    """

    way: str
    kind: str
    rows: str
    count: int
    model: str
    dtype: str = "float32"
    device: str = "cpu"
    cores: int = 1
    processes: int = 1
    python: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def threads(self) -> int:
        """Of each process."""
        return max(1, self.cores // self.processes)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Spec:
        return cls(**json.loads(text))
