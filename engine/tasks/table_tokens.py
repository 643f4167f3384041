"""A question and a table to TAPAS' tokens, each with seven types, and on to padded tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.errors import RowError
from engine.tasks.table_cells import Table
from engine.tasks.tokens import Tokens, collate

#: Which of a token's types says that it is of the table (1), and in which column and row; both count from 1.
SEGMENT, COLUMN, ROW = 0, 1, 2
_TYPES: Final = 7
_EMPTY: Final = "expected a question, got an empty text: leave out rows without one"


class TableSequence(NamedTuple):
    """Ids and types of a sequence's tokens, and whether cells of its table were shortened or left out."""

    ids: list[int]
    types: list[list[int]]
    truncated: bool


@dataclass(frozen=True)
class TableTokens:
    """Sequences of questions and tables.

    Args:
        tokens: a sequence a row.
        types: int64 [all tokens, 7]: segment, column, row, and how numbers of the table compare.
        tables: row → its table.
    """

    tokens: Tokens
    types: npt.NDArray[np.int64]
    tables: Mapping[int, Table]


class TableTokenizer:
    """TAPAS' tokenizer, within what the model has numbers for.

    Args:
        tokenizer: transformers' own, in Python: it parses numbers and dates of every cell, and takes milliseconds.
        config: of the model.
    """

    def __init__(self, tokenizer: Any, config: Any) -> None:
        sizes = config.type_vocab_sizes
        self.tokenizer = tokenizer
        # Rows have numbers of their own, and ranks within each column: a larger one would be outside of the weights.
        self.most_rows = min(sizes[2], sizes[4], sizes[5]) - 1
        self.most_columns = min(sizes[1], tokenizer.max_column_id) - 1
        # Padding is given a cell that no table fills: where a model may choose no column, it looks at the mean of
        # all tokens outside of columns, and padding would be among them.
        self.padding = np.zeros(_TYPES, np.int64)
        self.padding[COLUMN] = min(sizes[1], config.max_num_columns) - 1
        self.padding[ROW] = min(sizes[2], config.max_num_rows) - 1

    def __call__(self, question: str, table: Table, *, limit: int, cut: bool) -> TableSequence:
        """One sequence of at most ``limit`` tokens; of a larger table cells are shortened, then rows left out.

        Raises RowError(too_long) where ``cut`` forbids that, where it does not suffice, and where there are more
        columns than the model has numbers for; RowError(encode_failed) without a question.
        """
        import pandas as pd

        if len(table.columns) > self.most_columns:
            raise RowError("too_long", f"expected a table of at most {self.most_columns} columns: leave out some")
        frame = pd.DataFrame(list(table.rows[: self.most_rows]), columns=list(table.columns))
        header = [""] * frame.shape[1] if self.tokenizer.strip_column_names else table.columns
        tokens = self._question(question) + 2
        tokens += sum(len(self.tokenizer.tokenize(cell)) for cell in chain(header, frame.to_numpy().flat))
        fits = tokens <= limit and len(frame) == len(table.rows)
        too_long = RowError("too_long", f"expected a question and a table of at most {limit} tokens: shorten the table")
        if not fits and not cut:
            raise too_long
        try:
            read = self.tokenizer(table=frame, queries=question, truncation="drop_rows_to_fit", max_length=limit)
        except ValueError:
            if fits:
                raise
            raise too_long from None  # the question and the names of the columns alone
        ids = read["input_ids"]
        return TableSequence(ids, read["token_type_ids"], not fits or len(ids) < tokens)

    def _question(self, question: str) -> int:
        if not question:
            raise RowError("encode_failed", _EMPTY)
        tokens = len(self.tokenizer.tokenize(question))
        least, most = self.tokenizer.min_question_length, self.tokenizer.max_question_length
        if (most is not None and tokens > most) or (least is not None and tokens < least):
            raise RowError(  # the tokenizer would leave the question out, and the model answer without it
                "too_long", f"expected a question of {least or 1} to {most} tokens, as the model's tokenizer is set up"
            )
        return tokens

    def inputs(self, data: TableTokens, items: Index, device: str) -> dict[str, Any]:
        """The model's input tensors: int64 [items, longest], and [items, longest, 7] for the types."""
        import torch

        inputs = collate(data.tokens, items, self.tokenizer, device)
        starts, lengths = data.tokens.offsets[items], data.tokens.lengths[items]
        inside = np.arange(lengths.max(initial=0)) < lengths[:, None]
        types = data.types[np.where(inside, starts[:, None] + np.arange(inside.shape[1]), 0)]
        types[~inside] = self.padding
        return {**inputs, "token_type_ids": torch.from_numpy(types).to(device, non_blocking=True)}


def laid_out(sequences: Sequence[TableSequence], tables: Mapping[int, Table]) -> TableTokens:
    """The sequences end to end; ``tables`` are theirs, by row, in the same order."""
    flat = np.array([*chain.from_iterable(one.types for one in sequences)], np.int64).reshape(-1, _TYPES)
    tokens = Tokens(
        ids=np.array([*chain.from_iterable(one.ids for one in sequences)], np.int64),
        types=flat[:, SEGMENT],
        offsets=np.cumsum([0, *(len(one.ids) for one in sequences)]),
        truncated=np.array([one.truncated for one in sequences], bool),
        owner=np.fromiter(tables, np.int64, len(tables)),
    )
    return TableTokens(tokens, flat, tables)
