"""text-classification: one label, or several, or a number (regression heads), for a text or a pair of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Index
from engine.models.first_token import first_token_only
from engine.models.load import LoadedModel
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.text import ChunkParams, TextTask, at_least, pooled


@dataclass(frozen=True, kw_only=True)
class TextClassificationParams(ChunkParams):
    """Parameters of text-classification.

    Args:
        top_k: how many of the labels ``scores`` keeps, best first; null keeps all.
        function_to_apply: what turns logits into scores; auto reads the model's configuration as transformers does:
            none for regression, sigmoid for several labels or a single one, else softmax.
        chunk_pooling: what a text read in windows takes of their logits, label by label: the mean or the max.
    """

    top_k: int | None = None
    function_to_apply: Literal["auto", "softmax", "sigmoid", "none"] = "auto"
    chunk_pooling: Literal["mean", "max"] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "top_k")


class TextClassification(TextTask):
    """Scores of every label of a sequence-classification head, float32."""

    name = "text-classification"
    Params = TextClassificationParams
    auto_class = "AutoModelForSequenceClassification"
    architecture = "ForSequenceClassification"
    texts = ("text", "text_pair")
    spreads = True

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        first_token_only(self.model)
        config = self.model.config
        self.labels = pa.array([str(config.id2label[i]) for i in range(config.num_labels)], pa.string())
        self.function = _function(config)

    def forward(self, encoded: Encoded, items: Index) -> npt.NDArray[np.float32]:
        """Logits, float32 [items, labels]."""
        logits: npt.NDArray[np.float32] = self.loaded(**self.model_inputs(encoded, items)).logits.float().cpu().numpy()
        return logits

    def decode(
        self, encoded: Encoded, rows: Index, outputs: npt.NDArray[np.float32], params: TextClassificationParams
    ) -> pa.StructArray:
        function = self.function if params.function_to_apply == "auto" else params.function_to_apply
        scores = apply_function(pooled(encoded, rows, outputs, params.chunk_pooling), function)
        columns = ranked(self.labels, scores, params.top_k, schema_of(self.name).fields[2].type)
        columns += self.token_columns(encoded, rows)
        return pa.StructArray.from_arrays(columns, fields=list(schema_of(self.name).fields))


def ranked(labels: pa.Array, scores: npt.NDArray[np.float32], top_k: int | None, type_: pa.DataType) -> list[pa.Array]:
    """The columns label, score and scores (of this type), best first, of scores [rows, labels]."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    best_scores = np.take_along_axis(scores, best, axis=1)
    names = labels.take(pa.array(best.ravel()))
    pairs = pa.StructArray.from_arrays(
        [names, pa.array(best_scores.ravel(), pa.float32())], fields=list(type_.value_type.fields)
    )
    offsets = pa.array(np.arange(len(scores) + 1) * best.shape[1], pa.int32())
    first = labels.take(pa.array(best[:, 0]))
    return [first, pa.array(best_scores[:, 0], pa.float32()), pa.ListArray.from_arrays(offsets, pairs, type=type_)]


def apply_function(logits: npt.NDArray[np.float32], function: str) -> npt.NDArray[np.float32]:
    """Scores from logits, float32 [rows, labels]: softmax over the labels, sigmoid of each, or as they are."""
    if function == "none":
        return logits
    if function == "sigmoid":
        return np.exp(-np.logaddexp(0.0, -logits.astype(np.float64))).astype(np.float32)  # overflows nowhere
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exps / exps.sum(axis=1, keepdims=True))


def _function(config: Any) -> str:
    if config.problem_type == "regression":
        return "none"
    if config.problem_type == "multi_label_classification" or config.num_labels == 1:
        return "sigmoid"
    return "softmax"
