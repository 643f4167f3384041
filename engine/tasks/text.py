"""What tasks of one sequence a row share: encode by tokenizing, one item for each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.batching import Index
from engine.errors import RowError
from engine.models.load import LoadedModel
from engine.tasks.base import Encoded, Task
from engine.tasks.tokens import Tokens, collate, longest_input, tokenize

_NO_TOKENS: Final = "the tokenizer makes no token of this text: leave out empty texts for this model"


@dataclass(frozen=True)
class Sequences:
    """What ``forward`` and ``decode`` of a one-sequence task read."""

    tokens: Tokens
    params: Any


class TextTask(Task):
    """A task whose row is one sequence (a text or a pair). ``Params`` has ``max_length: int | None``."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.tokenizer = loaded.tokenizer
        self.manifest = loaded.manifest
        self.device = loaded.device

    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        limit = longest_input(self.model, self.tokenizer, self.manifest.max_length, params.max_length)
        tokens = tokenize(self.tokenizer, inputs, limit)
        rows = len(tokens.truncated)
        # Tokenizers without special tokens make none of an empty text, and a sequence of padding alone has no answer.
        empty = dict.fromkeys(np.flatnonzero(tokens.lengths == 0).tolist(), RowError("encode_failed", _NO_TOKENS))
        return Encoded(rows, tokens.lengths, np.arange(rows, dtype=np.int64), Sequences(tokens, params), empty)

    def model_inputs(self, encoded: Encoded, items: Index) -> dict[str, Any]:
        """The padded tensors of a micro-batch, on the model's device."""
        return collate(encoded.data.tokens, items, self.tokenizer, self.device)

    @staticmethod
    def token_columns(encoded: Encoded, rows: Index) -> list[pa.Array]:
        """The ``tokens`` (int32) and ``truncated`` (bool) columns of these rows."""
        return [pa.array(encoded.lengths[rows], pa.int32()), pa.array(encoded.data.tokens.truncated[rows], pa.bool_())]
