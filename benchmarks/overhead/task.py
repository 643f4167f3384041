"""A task whose three phases cost next to nothing a row: no tokenizer, no model, no loop over rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.batching import Index
from engine.schema import schema_of
from engine.tasks.base import Encoded, Task
from engine.tasks.text_classification import TextClassificationParams


class FakeClassification(Task):
    """text-classification whose only label is "text" and whose score is one over the text's length."""

    name = "text-classification"
    Params = TextClassificationParams
    auto_class = ""

    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        lengths = np.maximum(1, pc.utf8_length(inputs["text"]).to_numpy(zero_copy_only=False)).astype(np.int32)
        return Encoded(lengths.size, lengths, np.arange(lengths.size, dtype=np.int64), None)

    def forward(self, encoded: Encoded, items: Index) -> npt.NDArray[np.float32]:
        return 1.0 / encoded.lengths[items].astype(np.float32)

    def decode(self, encoded: Encoded, rows: Index, outputs: npt.NDArray[np.float32], params: Any) -> pa.StructArray:
        fields = schema_of(self.name).fields
        label = pa.repeat(pa.scalar("text"), rows.size)
        score = pa.array(outputs, pa.float32())
        pairs = pa.StructArray.from_arrays([label, score], fields=list(fields[2].type.value_type.fields))
        scores = pa.ListArray.from_arrays(pa.array(np.arange(rows.size + 1), pa.int32()), pairs, type=fields[2].type)
        tokens = pa.array(encoded.lengths[rows], pa.int32())
        truncated = pa.repeat(pa.scalar(False), rows.size)
        return pa.StructArray.from_arrays([label, score, scores, tokens, truncated], fields=list(fields))
