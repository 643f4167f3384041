"""list-embeddings and llm/v1/embeddings: one vector for each text of a list, pooled as embeddings pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Failures, Index
from engine.errors import RowError
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.embeddings import Embeddings, EmbeddingsParams, vector_lists
from engine.tasks.text import Sequences, pooled
from engine.tasks.tokens import texts_of

_LISTS: Final = schema_of("list-embeddings").fields[0].type
_NULL: Final = "expected a list of texts without null: leave it out, or take the task list-embeddings"


@dataclass(frozen=True)
class Lists(Sequences):
    """Sequences of the texts of lists.

    Args:
        texts: the texts that are there, each as a row of its own.
        row: int64 [places], the row of each place of a list.
        there: bool [places], whether a text lies there, or null.
    """

    texts: Encoded
    row: Index
    there: npt.NDArray[np.bool_]


class ListEmbeddings(Embeddings):
    """Pooled last hidden states of each text of a list, float32 [texts, dimensions]."""

    name = "list-embeddings"
    window_rows = 512  # a list may hold many texts, each with a vector
    window_bytes = 512 << 10  # 100,000 tags of five letters with 1,024 numbers each: 400 MiB of answers

    def encode(self, inputs: Mapping[str, pa.Array], params: EmbeddingsParams) -> Encoded:
        lists = inputs[schema_of(self.name).inputs[0].name]
        row, values = _places(lists)
        there = np.asarray(values.is_valid())
        texts = self.encode_texts(texts_of(values.drop_null()), None, params)
        of_text = row[there]
        data = Lists(texts.data.tokens, params, texts, row, there)
        failures: Failures = {int(of_text[text]): error for text, error in texts.failures.items()}
        return Encoded(len(lists), texts.lengths, of_text[texts.owner], data, failures)

    def decode(self, encoded: Encoded, rows: Index, outputs: Any, params: EmbeddingsParams) -> pa.StructArray:
        fields = schema_of(self.name).fields
        columns = [self.lists(encoded, rows, outputs, params), *self.token_columns(encoded, rows)]
        return pa.StructArray.from_arrays(columns, fields=list(fields))

    def lists(self, encoded: Encoded, rows: Index, outputs: Any, params: EmbeddingsParams) -> pa.ListArray:
        """The vectors of these rows: for each a list, with null where a text is null."""
        data = encoded.data
        ours = np.isin(data.row, rows)
        there = data.there[ours]
        counts = np.bincount(data.row, minlength=encoded.rows)[rows]
        vectors = np.zeros((0, 1), np.float32)
        if there.any():
            texts = np.flatnonzero(ours[data.there])
            vectors = self.vectors(pooled(data.texts, texts, outputs, params.chunk_pooling), params)
        at = pa.array(np.cumsum(there) - 1, pa.int64(), mask=~there)
        offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
        return pa.ListArray.from_arrays(offsets, vector_lists(vectors, _LISTS.value_type).take(at), type=_LISTS)


class LlmEmbeddings(ListEmbeddings):
    """The same in OpenAI's shape, of a text or of a list of texts."""

    name = "llm/v1/embeddings"

    def encode(self, inputs: Mapping[str, pa.Array], params: EmbeddingsParams) -> Encoded:
        encoded = super().encode(inputs, params)
        null = RowError("invalid_text", _NULL)
        encoded.failures.update(dict.fromkeys(encoded.data.row[~encoded.data.there].tolist(), null))
        return encoded

    def decode(self, encoded: Encoded, rows: Index, outputs: Any, params: EmbeddingsParams) -> pa.StructArray:
        fields = schema_of(self.name).fields
        lists = self.lists(encoded, rows, outputs, params)
        tokens, truncated = self.token_columns(encoded, rows)
        starts = np.asarray(lists.offsets)
        index = np.arange(len(lists.values)) - np.repeat(starts[:-1], np.diff(starts))
        embeddings = pa.StructArray.from_arrays(
            [pa.array(index, pa.int32()), lists.values], fields=list(fields[0].type.value_type.fields)
        )
        data = pa.ListArray.from_arrays(lists.offsets, embeddings, type=fields[0].type)
        usage = pa.StructArray.from_arrays([tokens, tokens], fields=list(fields[1].type.fields))
        return pa.StructArray.from_arrays([data, usage, truncated], fields=list(fields))


def _places(column: pa.Array) -> tuple[Index, pa.Array]:
    """The places of all lists, end to end: the row of each, and what lies there. A text is a list of one."""
    rows = np.arange(len(column))
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        return rows, column
    return np.repeat(rows, np.asarray(column.value_lengths())), column.flatten()
