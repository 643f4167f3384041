"""What one measured process is told: small, and travels as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One way of transcribing, to be measured.

    Args:
        way: its name, in ``benchmarks.audio.spark.WAYS``.
        tables: name of a table (clips, long) → its folder of Parquet files, one a core. A pass transcribes each.
        few: such a folder with a clip or two for each core, that warms the workers up.
        model: the model's folder, as ``save_pretrained`` writes it.
        converted: the same model's folder for faster-whisper, as CTranslate2 converts it.
        dtype: of the engine; auto leaves it its choice.
        device: cpu or cuda.
        cores: Spark's.
        params: of the engine, over those of its way.
    """

    way: str
    model: str
    tables: dict[str, str] = field(default_factory=dict)
    few: str = ""
    converted: str = ""
    dtype: str = "auto"
    device: str = "cpu"
    cores: int = 1
    params: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Spec:
        return cls(**json.loads(text))
