"""audio-classification: one label, or several, or a number (regression heads), for a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from engine.batching import Index
from engine.models.load import LoadedModel
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.text import at_least
from engine.tasks.text_classification import apply_function, ranked
from engine.tasks.whole_audio import Answer, WholeAudioParams, WholeAudioTask


@dataclass(frozen=True, kw_only=True)
class AudioClassificationParams(WholeAudioParams):
    """Parameters of audio-classification.

    Args:
        top_k: how many of the labels ``scores`` keeps, best first; null keeps all.
        function_to_apply: what turns logits into scores; auto reads the model's configuration as transformers does:
            none for regression, sigmoid for several labels, else softmax.
    """

    top_k: int | None = None
    function_to_apply: Literal["auto", "softmax", "sigmoid", "none"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "top_k")


class AudioClassification(WholeAudioTask):
    """Scores of every label of a head over a recording, float32."""

    name = "audio-classification"
    Params = AudioClassificationParams
    auto_class = "AutoModelForAudioClassification"
    architecture = ("ForSequenceClassification", "ForAudioClassification")

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        config = self.model.config
        self.labels = pa.array([str(config.id2label[i]) for i in range(config.num_labels)], pa.string())
        self.function = _FUNCTIONS.get(config.problem_type, "softmax")

    def compute(self, inputs: Mapping[str, Any]) -> Any:
        return self.model_output(inputs).logits

    def decode(
        self, encoded: Encoded, rows: Index, outputs: Sequence[Answer], params: AudioClassificationParams
    ) -> pa.StructArray:
        function = self.function if params.function_to_apply == "auto" else params.function_to_apply
        scores = apply_function(np.stack([one.values for one in outputs]), function)
        columns = ranked(self.labels, scores, params.top_k, schema_of(self.name).fields[2].type)
        columns += self.heard_columns(outputs)
        return pa.StructArray.from_arrays(columns, fields=list(schema_of(self.name).fields))


#: As transformers' pipeline has it; its text-classification takes the sigmoid of a single label, this one does not.
_FUNCTIONS = {"regression": "none", "multi_label_classification": "sigmoid"}
