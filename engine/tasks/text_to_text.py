"""summarization, translation and text2text-generation: what a sequence-to-sequence model makes of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from engine.batching import Index
from engine.generation.languages import reading, spoken, target_token
from engine.generation.params import GenerationParams
from engine.generation.task import GenerationTask, choices, grouped
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class TranslationParams(GenerationParams):
    """Parameters of translation.

    Args:
        source_language: of the text, as the model names it (en, en_XX, eng_Latn), for a model of several languages.
        target_language: of the translation, as the model names it; a model of one pair looks at neither.
    """

    source_language: str | None = None
    target_language: str | None = None


class TextToText(GenerationTask):
    """Texts from texts, by an encoder and a decoder.

    What the model's ``task_specific_params`` say for the task, the prefix among it, goes over its generation
    configuration, as in transformers' pipelines of version 4.
    """

    name = "text2text-generation"
    auto_class = "AutoModelForSeq2SeqLM"
    architecture = ("ForConditionalGeneration", "MTModel")
    pads_left = False

    def own(self, params: Any) -> Mapping[str, Any]:
        return {"prefix": getattr(self.model.config, "prefix", None), **self.specific(params)}

    def specific(self, params: Any) -> Mapping[str, Any]:
        """The model's parameters for this task."""
        return dict(self.every_specific.get(self.name) or {})

    @property
    def every_specific(self) -> Mapping[str, Any]:
        """The model's parameters by task."""
        return getattr(self.model.config, "task_specific_params", None) or {}

    def decode(self, encoded: Encoded, rows: Index, outputs: Any, params: Any) -> pa.StructArray:
        groups = grouped(outputs, rows.size)
        if encoded.data.keys is not None:
            groups = [sorted(group, key=lambda one: -one.logprob) for group in groups]
        fields = schema_of(self.name).fields
        best = choices(encoded.data.stopping, [group[:1] for group in groups], fields[5].type).values
        tokens = encoded.data.tokens
        columns = [
            best.field("text"),
            pa.array(tokens.lengths[rows], pa.int32()),
            pa.array([len(group[0].ids) for group in groups], pa.int32()),
            best.field("finish_reason"),
            best.field("logprob"),
            choices(encoded.data.stopping, [group[1:] for group in groups], fields[5].type, first=1),
            pa.array(tokens.truncated[rows], pa.bool_()),
        ]
        return pa.StructArray.from_arrays(columns, fields=list(fields))


class Summarization(TextToText):
    """Summaries."""

    name = "summarization"


class Translation(TextToText):
    """Translations, from and into the languages of the parameters where the model knows several."""

    name = "translation"
    Params = TranslationParams

    def specific(self, params: TranslationParams) -> Mapping[str, Any]:
        languages = (params.source_language, params.target_language)
        return {**(self.every_specific.get(self.name) or {}), **spoken(self.every_specific, self.tokenizer, *languages)}

    def forced(self, params: TranslationParams) -> Mapping[str, Any]:
        token = target_token(self.tokenizer, params.target_language)
        return {} if token is None else {"forced_bos_token_id": token}

    def tokens(self, texts: Sequence[str], params: TranslationParams, limit: int | None) -> Tokens:
        with reading(self.tokenizer, params.source_language):
            return super().tokens(texts, params, limit)
