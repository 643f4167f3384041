"""text-generation and llm/v1/completions: what a causal model writes after a prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from engine.batching import Index
from engine.generation.task import GenerationTask, choices, grouped
from engine.models.load import LoadedModel
from engine.schema import schema_of
from engine.tasks.base import Encoded


class TextGeneration(GenerationTask):
    """Completions of prompts by a causal language model."""

    name = "text-generation"
    auto_class = "AutoModelForCausalLM"
    architecture = ("ForCausalLM", "LMHeadModel")
    texts = ("prompt",)
    pads_left = True
    backends = ("transformers", "vllm")
    spreads = True

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        self.tokenizer.truncation_side = "left"  # the model writes on at the end, which therefore stays

    def decode(self, encoded: Encoded, rows: Index, outputs: Any, params: Any) -> pa.StructArray:
        groups = grouped(outputs, rows.size)
        fields = schema_of(self.name).fields
        read = encoded.data.tokens.lengths[rows]
        written = np.array([sum(len(one.ids) for one in group) for group in groups], np.int32)
        counts = [pa.array(one, pa.int32()) for one in (read, written, read + written)]
        usage = pa.StructArray.from_arrays(counts, fields=list(fields[1].type.fields))
        truncated = pa.array(encoded.data.tokens.truncated[rows], pa.bool_())
        columns = [choices(encoded.data.stopping, groups, fields[0].type), usage, truncated]
        return pa.StructArray.from_arrays(columns, fields=list(fields))


class Completions(TextGeneration):
    """The same under the name that MLflow gives it, in OpenAI's shape, which is that of text-generation."""

    name = "llm/v1/completions"
