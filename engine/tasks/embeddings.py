"""embeddings: one vector a text, pooled as the model's own configuration says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Index
from engine.errors import ParameterError
from engine.models.manifest import Manifest
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.text import ChunkParams, TextTask, at_least, pooled


@dataclass(frozen=True, kw_only=True)
class EmbeddingsParams(ChunkParams):
    """Parameters of embeddings.

    Args:
        pooling: mean over the tokens, the first (cls) or the last token; auto takes what the model ships
            (sentence-transformers' 1_Pooling folder), else mean.
        normalize: whether vectors have length 1; null takes what the model ships, else false.
        dimensions: keep the first so many numbers (before normalizing), for models trained so; null keeps all.
        chunk_pooling: what a text read in windows takes of their vectors, number by number: the mean or the max.
    """

    pooling: Literal["auto", "mean", "cls", "last"] = "auto"
    normalize: bool | None = None
    dimensions: int | None = None
    chunk_pooling: Literal["mean", "max"] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "dimensions")


class Embeddings(TextTask):
    """Pooled last hidden states of an encoder or decoder, float32 [rows, dimensions]."""

    name = "embeddings"
    Params = EmbeddingsParams
    auto_class = "AutoModel"
    unused = ("pooler",)  # checkpoints of masked language models and of RoBERTa's classifiers have none
    spreads = True

    @classmethod
    def check(cls, params: EmbeddingsParams, manifest: Manifest) -> None:
        super().check(params, manifest)
        if manifest.hidden and (params.dimensions or 0) > manifest.hidden:
            raise ParameterError(
                f"expected dimensions of at most {manifest.hidden}, the numbers this model gives, "
                f"got {params.dimensions}"
            )

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
        vectors = self.vectors(pooled(encoded, rows, outputs, params.chunk_pooling), params)
        fields = schema_of(self.name).fields
        columns = [vector_lists(vectors, fields[0].type), *self.token_columns(encoded, rows)]
        return pa.StructArray.from_arrays(columns, fields=list(fields))

    def vectors(self, outputs: npt.NDArray[np.float32], params: EmbeddingsParams) -> npt.NDArray[np.float32]:
        """Pooled vectors cut to ``dimensions`` and, where it is due, of length 1."""
        vectors = outputs[:, : params.dimensions]
        if self.manifest.normalize if params.normalize is None else params.normalize:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


def vector_lists(vectors: npt.NDArray[np.float32], type_: pa.DataType) -> pa.Array:
    """float32 [rows, dimensions] → a list of that type for each row."""
    offsets = pa.array(np.arange(len(vectors) + 1) * vectors.shape[1], pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(vectors).ravel(), pa.float32()), type=type_)


def pool(hidden: Any, mask: Any, pooling: str) -> Any:
    """Hidden states [items, longest, hidden] → float32 [items, hidden]; ``mask`` is 1 on tokens, 0 right of them."""
    if pooling == "cls":
        return hidden[:, 0].float()
    lengths = mask.sum(dim=1)
    if pooling == "last":
        return hidden[range(len(lengths)), lengths - 1].float()
    return (hidden.float() * mask.unsqueeze(-1)).sum(dim=1) / lengths.unsqueeze(-1)
