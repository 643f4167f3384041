"""table-question-answering: the cells of a table that answer a question, and how to put them together (TAPAS)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Failures, Index
from engine.errors import RowError, UnsupportedTaskError
from engine.models.load import LoadedModel
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.context_windows import ranges
from engine.tasks.limits import longest_input
from engine.tasks.table_cells import Table, read_table
from engine.tasks.table_tokens import COLUMN, ROW, SEGMENT, TableSequence, TableTokenizer, TableTokens, laid_out
from engine.tasks.text import TextParams, TextTask
from engine.tasks.tokens import texts_of

#: A cell is part of the answer where the model finds it more probable than this.
_THRESHOLD: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class TableQuestionAnsweringParams(TextParams):
    """Parameters of table-question-answering.

    Args:
        max_length: tokens of question and table together at most; null takes what the model allows.
        long_text: what becomes of a larger table: truncate (its cells are shortened, then its last rows left out, and
            it is flagged) or error (of its row).
    """


class TableQuestionAnswering(TextTask):
    """Cells and an aggregation from TAPAS' heads, float32 logits of tokens and aggregations."""

    name = "table-question-answering"
    Params = TableQuestionAnsweringParams
    auto_class = "AutoModelForTableQuestionAnswering"
    architecture = "TapasForQuestionAnswering"
    texts = ("question", "table")

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        config = self.model.config
        if not config.select_one_column:
            raise UnsupportedTaskError(
                "expected a TAPAS that answers from one column; with select_one_column false, as here in config.json, "
                "transformers gives no answer without labels: take another checkpoint"
            )
        self.sequence = TableTokenizer(self.tokenizer, config)
        count = config.num_aggregation_labels if config.aggregation_labels else 0
        #: The name of each aggregation, and what stands before an answer that needs it; none where the model has none.
        self.aggregators = [str(config.aggregation_labels.get(i, i)) for i in range(count)]
        self.prefixes = [f"{name} > " for name in self.aggregators]
        if self.prefixes and config.no_aggregation_label_index is not None:
            self.prefixes[config.no_aggregation_label_index] = ""

    def encode(self, inputs: Mapping[str, pa.Array], params: TableQuestionAnsweringParams) -> Encoded:
        questions, values = (texts_of(inputs[role]) for role in self.texts)
        limit = longest_input(self.model, self.tokenizer, self.manifest.max_length, params.max_length)
        assert limit is not None
        tables: dict[int, Table] = {}
        sequences: list[TableSequence] = []
        failures: Failures = {}
        for row, (question, value) in enumerate(zip(questions, values, strict=True)):
            try:
                table = read_table(value)
                sequences.append(self.sequence(question or "", table, limit=limit, cut=params.long_text != "error"))
                tables[row] = table
            except RowError as error:
                failures[row] = error
        data = laid_out(sequences, tables)
        return Encoded(len(questions), data.tokens.lengths, data.tokens.owner, data, failures)

    def model_inputs(self, encoded: Encoded, items: Index) -> dict[str, Any]:
        return self.sequence.inputs(encoded.data, items, self.device)

    def forward(self, encoded: Encoded, items: Index) -> list[npt.NDArray[np.float32]]:
        """Logits, float32 [tokens + aggregations] for each item, without its padding."""
        output = self.loaded(**self.model_inputs(encoded, items))
        logits = output.logits.float().cpu().numpy()
        aggregations = np.empty((items.size, 0), np.float32)
        if self.aggregators:
            aggregations = output.logits_aggregation.float().cpu().numpy()
        lengths = encoded.lengths[items].tolist()
        return [np.concatenate([one[:n], a]) for one, a, n in zip(logits, aggregations, lengths, strict=True)]

    def decode(
        self, encoded: Encoded, rows: Index, outputs: list[npt.NDArray[np.float32]], params: Any
    ) -> pa.StructArray:
        data: TableTokens = encoded.data
        items = np.searchsorted(data.tokens.owner, rows)
        lengths = data.tokens.lengths[items].astype(np.int64)
        logits = np.concatenate([one[:n] for one, n in zip(outputs, lengths.tolist(), strict=True)])
        types = data.types[ranges(data.tokens.offsets[items], lengths)]
        at, row, column, score = selected(logits, types, np.repeat(np.arange(rows.size), lengths))
        tables = [data.tables[one] for one in rows.tolist()]
        texts = [tables[i].rows[r][c] for i, r, c in zip(at.tolist(), row.tolist(), column.tolist(), strict=True)]
        cuts = np.searchsorted(at, np.arange(rows.size + 1)).tolist()
        names: list[str | None] = [None] * rows.size
        prefixes = [""] * rows.size
        if self.aggregators:
            best = [int(one[n:].argmax()) for one, n in zip(outputs, lengths.tolist(), strict=True)]
            names, prefixes = [self.aggregators[i] for i in best], [self.prefixes[i] for i in best]
        answers = [prefix + ", ".join(texts[a:b]) for prefix, (a, b) in zip(prefixes, pairwise(cuts), strict=True)]
        fields = list(schema_of(self.name).fields)
        cells = _lists(cuts, (row, column, texts, score), fields[1].type)
        columns = [pa.array(answers, pa.string()), cells, pa.array(names, pa.string())]
        return pa.StructArray.from_arrays([*columns, *self.token_columns(encoded, rows)], fields=fields)


def selected(
    logits: npt.NDArray[np.float32], types: npt.NDArray[np.int64], owner: Index
) -> tuple[Index, Index, Index, npt.NDArray[np.float32]]:
    """The cells whose tokens are more probable than not, on the mean, ascending by owner, row and column.

    Args:
        logits: float32 [tokens]; types: int64 [tokens, 7]; owner: int64 [tokens], which table each token is of.

    Returns int64 [cells] owner, row and column (from 0), and float32 [cells] probability.
    """
    of_cell = (types[:, SEGMENT] == 1) & (types[:, COLUMN] > 0) & (types[:, ROW] > 0)
    row, column = types[of_cell, ROW] - 1, types[of_cell, COLUMN] - 1
    width, height = int(column.max(initial=0)) + 1, int(row.max(initial=0)) + 1
    cells, which = np.unique((owner[of_cell] * height + row) * width + column, return_inverse=True)
    probabilities = np.exp(-np.logaddexp(0.0, -logits[of_cell].astype(np.float64)))  # the sigmoid, without overflow
    means = np.bincount(which, weights=probabilities, minlength=cells.size) / np.bincount(which, minlength=cells.size)
    cells, means = cells[means > _THRESHOLD], means[means > _THRESHOLD]
    return cells // (width * height), cells // width % height, cells % width, means.astype(np.float32)


def _lists(cuts: list[int], columns: tuple[Any, ...], type_: pa.DataType) -> pa.Array:
    struct = list(type_.value_type.fields)
    values = [pa.array(column, field.type) for column, field in zip(columns, struct, strict=True)]
    flat = pa.StructArray.from_arrays(values, fields=struct)
    return pa.ListArray.from_arrays(pa.array(cuts, pa.int32()), flat, type=type_)
