"""reranking: how well a passage answers a query, by a cross-encoder that reads both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Index
from engine.errors import ParameterError, UnsupportedTaskError
from engine.models.first_token import first_token_only
from engine.models.load import LoadedModel
from engine.models.manifest import Manifest
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.text import TextParams, TextTask
from engine.tasks.text_classification import apply_function

#: What a folder's activation is to us, by its class in torch.nn.
_FUNCTIONS: Final = {"Sigmoid": "sigmoid", "Identity": "none"}


@dataclass(frozen=True, kw_only=True)
class RerankingParams(TextParams):
    """Parameters of reranking.

    Args:
        function_to_apply: what turns the logit into the score; auto takes what the model ships for
            sentence-transformers' CrossEncoder, else sigmoid.
    """

    function_to_apply: Literal["auto", "sigmoid", "none"] = "auto"


class Reranking(TextTask):
    """The score of a pair of query and passage, float32."""

    name = "reranking"
    Params = RerankingParams
    auto_class = "AutoModelForSequenceClassification"
    architecture = "ForSequenceClassification"
    texts = ("query", "passage")
    spreads = True

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        first_token_only(self.model)

    @classmethod
    def check(cls, params: RerankingParams, manifest: Manifest) -> None:
        super().check(params, manifest)
        if manifest.labels != 1:
            raise UnsupportedTaskError(
                f"expected a cross-encoder with one output for {cls.name}, the model has {manifest.labels} labels: "
                "score its pairs with text-classification"
            )
        if params.function_to_apply == "auto" and _shipped(manifest) is None:
            raise ParameterError(
                f"expected the model to ship Sigmoid or Identity, it ships {manifest.activation}: "
                "give function_to_apply, sigmoid or none"
            )

    def forward(self, encoded: Encoded, items: Index) -> npt.NDArray[np.float32]:
        """Logits, float32 [items, 1]."""
        logits: npt.NDArray[np.float32] = self.loaded(**self.model_inputs(encoded, items)).logits.float().cpu().numpy()
        return logits

    def decode(
        self, encoded: Encoded, rows: Index, outputs: npt.NDArray[np.float32], params: RerankingParams
    ) -> pa.StructArray:
        shipped = params.function_to_apply == "auto"
        function = _shipped(self.manifest) if shipped else params.function_to_apply
        scores = apply_function(outputs[:, 0], str(function))
        columns = [pa.array(scores, pa.float32()), *self.token_columns(encoded, rows)]
        return pa.StructArray.from_arrays(columns, fields=list(schema_of(self.name).fields))


def _shipped(manifest: Manifest) -> str | None:
    """What the folder's activation is to us: sigmoid where it names none, None where it names another."""
    return _FUNCTIONS.get((manifest.activation or "Sigmoid").rpartition(".")[2])
