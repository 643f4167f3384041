"""feature-extraction: the last hidden state of every token of a text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Index
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.embeddings import vector_lists
from engine.tasks.text import TextParams, TextTask


class FeatureExtraction(TextTask):
    """The token matrix of a text, float32 [tokens, hidden], special tokens with it, padding not."""

    name = "feature-extraction"
    Params = TextParams
    auto_class = "AutoModel"
    unused = ("pooler",)  # checkpoints of masked language models and of RoBERTa's classifiers have none
    window_rows = 64  # of 512 tokens with 1,024 numbers each: 128 MiB of answers
    window_bytes = 256 << 10  # 65,000 tokens of long texts

    def forward(self, encoded: Encoded, items: Index) -> list[npt.NDArray[np.float32]]:
        """For each item float32 [tokens, hidden]."""
        inputs = self.model_inputs(encoded, items)
        hidden = self.loaded(**inputs).last_hidden_state
        flat: npt.NDArray[np.float32] = hidden[inputs["attention_mask"].bool()].float().cpu().numpy()
        return np.split(flat, np.cumsum(encoded.lengths[items])[:-1])

    def decode(
        self, encoded: Encoded, rows: Index, outputs: list[npt.NDArray[np.float32]], params: TextParams
    ) -> pa.StructArray:
        fields = schema_of(self.name).fields
        vectors = vector_lists(np.concatenate(outputs), fields[0].type.value_type)
        offsets = np.concatenate([[0], np.cumsum(encoded.lengths[rows], dtype=np.int64)])
        features = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), vectors, type=fields[0].type)
        return pa.StructArray.from_arrays([features, *self.token_columns(encoded, rows)], fields=list(fields))
