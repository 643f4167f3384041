"""A fake task of twenty lines: it tests the spine without a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from engine.batching import Index
from engine.schema import schema_of
from engine.tasks.base import Encoded, Task
from engine.tasks.text_classification import TextClassificationParams
from engine.tasks.tokens import texts_of


class FakeTask(Task):
    """Scores a text by its length; texts with a marker misbehave. Remembers every batch it was given."""

    name = "text-classification"
    Params = TextClassificationParams
    auto_class = ""

    def __init__(self) -> None:
        self.encoded: list[list[str]] = []
        self.batches: list[list[str]] = []

    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        texts = texts_of(inputs["text"])
        self.encoded.append(texts)
        if any("no encode" in text for text in texts):
            raise ValueError("a message that quotes the row")
        lengths = np.array([max(1, len(text)) for text in texts], np.int32)
        return Encoded(len(texts), lengths, np.arange(len(texts)), texts)

    def forward(self, encoded: Encoded, items: Index) -> np.ndarray:
        texts = [encoded.data[i] for i in items]
        self.batches.append(texts)
        if any("no forward" in text for text in texts):
            raise ValueError("a message that quotes the row")
        if any("too big" in text for text in texts) or sum(map(len, texts)) > 10_000:
            raise MemoryError
        return np.array([np.nan if "nan" in text else len(text) for text in texts], np.float32)

    def decode(self, encoded: Encoded, rows: Index, outputs: np.ndarray, params: Any) -> pa.StructArray:
        if any("no decode" in encoded.data[row] for row in rows):
            raise ValueError("a message that quotes the row")
        labels = [encoded.data[row][: params.top_k] for row in rows]
        columns = [labels, outputs, [[]] * len(rows), encoded.lengths[rows], [False] * len(rows)]
        fields = schema_of(self.name).fields
        arrays = [pa.array(column, field.type) for column, field in zip(columns, fields, strict=True)]
        return pa.StructArray.from_arrays(arrays, fields=list(fields))
