"""embeddings: one vector a text, pooled as the model's own configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Index
from engine.errors import ParameterError, RowError
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.text import TextTask


@dataclass(frozen=True)
class EmbeddingsParams:
    """Parameters of embeddings.

    Args:
        pooling: mean over the tokens, the first (cls) or the last token; auto takes what the model ships
            (sentence-transformers' 1_Pooling folder), else mean.
        normalize: whether vectors have length 1; null takes what the model ships, else false.
        dimensions: keep the first so many numbers (before normalizing), for models trained so; null keeps all.
        max_length: tokens after which a text is cut (and flagged); null takes what the model allows.
    """

    pooling: Literal["auto", "mean", "cls", "last"] = "auto"
    normalize: bool | None = None
    dimensions: int | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        for name in ("dimensions", "max_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ParameterError(f"expected {name} to be null or at least 1, got {value}")


class Embeddings(TextTask):
    """Pooled last hidden states of an encoder or decoder, float32 [rows, dimensions]."""

    name = "embeddings"
    Params = EmbeddingsParams
    auto_class = "AutoModel"
    unused = ("pooler",)  # checkpoints of masked language models and of RoBERTa's classifiers have none

    def encode(self, inputs: Mapping[str, pa.Array], params: EmbeddingsParams) -> Encoded:
        hidden = self.manifest.hidden
        if not hidden or (params.dimensions or 0) <= hidden:
            return super().encode(inputs, params)
        error = RowError(
            "invalid_parameter",
            f"expected dimensions of at most {hidden}, the numbers this model gives, got {params.dimensions}",
        )
        rows, nothing = len(inputs["text"]), np.zeros(0, np.int64)
        return Encoded(rows, nothing.astype(np.int32), nothing, None, dict.fromkeys(range(rows), error))

    def forward(self, encoded: Encoded, items: Index) -> npt.NDArray[np.float32]:
        """Pooled vectors, float32 [items, hidden]; pooled in float32 whatever the model's dtype."""
        inputs = self.model_inputs(encoded, items)
        hidden = self.loaded(**inputs).last_hidden_state
        asked = encoded.data.params.pooling
        pooled = pool(hidden, inputs["attention_mask"], self.manifest.pooling if asked == "auto" else asked)
        vectors: npt.NDArray[np.float32] = pooled.cpu().numpy()
        return vectors

    def decode(
        self, encoded: Encoded, rows: Index, outputs: npt.NDArray[np.float32], params: EmbeddingsParams
    ) -> pa.StructArray:
        vectors = outputs[:, : params.dimensions]
        if self.manifest.normalize if params.normalize is None else params.normalize:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        fields = schema_of(self.name).fields
        offsets = pa.array(np.arange(len(rows) + 1) * vectors.shape[1], pa.int32())
        values = pa.array(np.ascontiguousarray(vectors).ravel(), pa.float32())
        embedding = pa.ListArray.from_arrays(offsets, values, type=fields[0].type)
        return pa.StructArray.from_arrays([embedding, *self.token_columns(encoded, rows)], fields=list(fields))


def pool(hidden: Any, mask: Any, pooling: str) -> Any:
    """Hidden states [items, longest, hidden] → float32 [items, hidden]; ``mask`` is 1 on tokens, 0 right of them."""
    if pooling == "cls":
        return hidden[:, 0].float()
    lengths = mask.sum(dim=1)
    if pooling == "last":
        return hidden[range(len(lengths)), lengths - 1].float()
    return (hidden.float() * mask.unsqueeze(-1)).sum(dim=1) / lengths.unsqueeze(-1)
