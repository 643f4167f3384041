"""token-classification: the entities of a text, or the label of each of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.batching import Index
from engine.errors import RowError
from engine.models.load import LoadedModel
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.entities import Labels, Pieces, merged, once, ranges, tokens, words
from engine.tasks.text import ChunkParams, Sequences, TextTask
from engine.tasks.token_run import Run, joined
from engine.tasks.tokens import Tokens

#: Aggregations that give all tokens of a word one label.
_BY_WORD: Final = ("first", "average", "max")
_NO_WORDS: Final = "expected aggregation none or simple, this model's tokenizer is a slow one that tells no words"


@dataclass(frozen=True, kw_only=True)
class TokenClassificationParams(ChunkParams):
    """Parameters of token-classification.

    Args:
        aggregation: none gives every token by itself; simple merges neighbours of one entity; first, average and max
            also give all tokens of a word one label: that of its first token, of the best mean score, of its surest
            token.
        ignore_labels: what is left out: labels for aggregation none, else entities, whose names have no B- or I-.
    """

    aggregation: Literal["none", "simple", "first", "average", "max"] = "simple"
    ignore_labels: tuple[str, ...] = ("O",)


@dataclass(frozen=True)
class Sentences(Sequences):
    """What ``decode`` reads beside the tokens: the texts [rows], and bool [all tokens], false for special tokens."""

    tokens: Tokens
    texts: Sequence[str]
    content: npt.NDArray[np.bool_]


class TokenClassification(TextTask):
    """Labels of a text's tokens, merged to entities as transformers' TokenClassificationPipeline merges them."""

    name = "token-classification"
    Params = TokenClassificationParams
    auto_class = "AutoModelForTokenClassification"
    architecture = "ForTokenClassification"
    spreads = True

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        self.spans = bool(self.tokenizer.is_fast)  # a tokenizer in Python knows no places
        self.labels = Labels.of(self.model.config.id2label, self.model.config.num_labels)

    def encode_texts(self, texts: Sequence[Any], pairs: Sequence[Any] | None, params: Any) -> Encoded:
        if params.aggregation in _BY_WORD and not self.spans:
            raise RowError("invalid_parameter", _NO_WORDS)
        encoded = super().encode_texts(texts, pairs, params)
        spans = encoded.data.tokens.spans
        content = self._content(encoded.lengths) if spans is None else spans.side >= 0
        encoded.data = Sentences(encoded.data.tokens, params, texts, content)
        return encoded

    def _content(self, lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Which tokens are no special ones, told by their number: a text may hold a special token of its own."""
        own = lengths - self.tokenizer.num_special_tokens_to_add(pair=False)
        special = [self.tokenizer.get_special_tokens_mask([0] * n) for n in own.tolist()]
        return np.asarray(np.concatenate(special) == 0)

    def forward(self, encoded: Encoded, items: Index) -> list[npt.NDArray[np.float32]]:
        """float32 [tokens, 2] for each item: the number of each token's best label, and its probability.

        For aggregation average [tokens, labels], all probabilities. NaN where a logit is not finite.
        """
        import torch

        inputs = self.model_inputs(encoded, items)
        logits = self.loaded(**inputs).logits[inputs["attention_mask"].bool()].float()
        scores = torch.where(logits.isfinite().all(dim=-1, keepdim=True), logits.softmax(dim=-1), torch.nan)
        if encoded.data.params.aggregation != "average":
            best = scores.max(dim=-1)
            scores = torch.stack([best.indices.float(), best.values], dim=-1)
        return np.split(scores.cpu().numpy(), np.cumsum(encoded.lengths[items])[:-1])

    def decode(
        self, encoded: Encoded, rows: Index, outputs: Sequence[Any], params: TokenClassificationParams
    ) -> pa.StructArray:
        run, values = _stitched(encoded, rows, outputs)
        if params.aggregation in _BY_WORD:
            pieces = words(values, run.row, run.continues(self.tokenizer), params.aggregation)
        else:
            pieces = tokens(values, run.row)
        found, names = pieces, self.labels.names
        if params.aggregation != "none":
            found, names = merged(pieces, self.labels), self.labels.entities
        ignored = pc.is_in(names, value_set=pa.array(params.ignore_labels, pa.string()))
        kept = np.flatnonzero(~np.asarray(ignored)[found.label])
        columns = [names.take(pa.array(found.label[kept])), pa.array(found.score[kept], pa.float32())]
        columns += self._written(run, pieces, *found.parts(kept), params.aggregation)
        fields = schema_of(self.name).fields
        lists = _lists(columns, np.bincount(found.row[kept], minlength=encoded.rows)[rows], fields[0].type)
        return pa.StructArray.from_arrays([lists, *self.token_columns(encoded, rows)], fields=list(fields))

    def _written(self, run: Run, pieces: Pieces, inner: Index, edges: Index, aggregation: str) -> list[pa.Array]:
        """The columns word, start and end of the entities made of these pieces, cut at these edges.

        Only their tokens become strings: a table of texts without entities costs no Python a token.
        """
        at, inner_edges = pieces.parts(inner)
        picked = run.of(at)
        strings = picked.strings(self.tokenizer)
        if aggregation in _BY_WORD:
            strings = joined(self.tokenizer, strings, inner_edges)
        if aggregation != "none":
            strings = joined(self.tokenizer, strings, edges)
        if picked.places is None:
            return [pa.array(strings, pa.string()), *[pa.nulls(len(strings), pa.int32())] * 2]
        start = picked.places[inner_edges[edges[:-1]], 0]
        end = picked.places[inner_edges[edges[1:]] - 1, 1]
        return [pa.array(strings, pa.string()), pa.array(start, pa.int32()), pa.array(end, pa.int32())]


def _stitched(encoded: Encoded, rows: Index, outputs: Sequence[Any]) -> tuple[Run, npt.NDArray[np.float32]]:
    """The tokens of these rows, each once however many windows hold it, and what forward gave for them."""
    sentences: Sentences = encoded.data
    laid, spans = sentences.tokens, sentences.tokens.spans
    items = np.flatnonzero(np.isin(encoded.owner, rows))
    lengths = encoded.lengths[items].astype(np.int64)
    owner, window = encoded.owner[items], np.repeat(np.arange(items.size), lengths)
    at = ranges(laid.offsets[items], lengths)
    kept = once(sentences.content[at], window, owner, laid.stride)
    at, row = at[kept], owner[window[kept]]
    places = None if spans is None else np.stack([spans.start[at], spans.end[at]], axis=1)
    return Run(sentences.texts, laid.ids[at], row, places), np.concatenate(outputs)[kept]


def _lists(columns: Sequence[pa.Array], counts: npt.NDArray[np.int64], type_: pa.DataType) -> pa.Array:
    """Structs of these columns, so many for each row, as lists of that type."""
    structs = pa.StructArray.from_arrays(columns, fields=list(type_.value_type.fields))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, structs, type=type_)
