"""What tasks on token sequences share: texts to sequences, long texts, padded tensors, and sequences back to rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Index
from engine.errors import ParameterError, RowError
from engine.models.load import LoadedModel
from engine.models.manifest import Manifest
from engine.schema import schema_of
from engine.tasks.base import Encoded, Task
from engine.tasks.limits import longest_input
from engine.tasks.pairs import Pairs
from engine.tasks.tokens import Cut, Tokens, collate, texts_of, tokenize

_NO_TOKENS: Final = "the tokenizer makes no token of this text: leave out empty texts for this model"


@dataclass(frozen=True, kw_only=True)
class TextParams:
    """Parameters of every task on texts.

    Args:
        max_length: tokens of a sequence at most; null takes what the model allows.
        long_text: what becomes of a longer text: truncate (cut, and flagged) or error (of its row).
    """

    max_length: int | None = None
    long_text: Literal["truncate", "error"] = "truncate"

    def __post_init__(self) -> None:
        at_least(self, 1, "max_length")


@dataclass(frozen=True, kw_only=True)
class ChunkParams(TextParams):
    """Parameters of tasks that can read a long text in windows.

    Args:
        long_text: what becomes of a text longer than max_length: truncate (cut, and flagged), error (of its row) or
            chunk (read whole, in windows).
        stride: tokens that neighbouring windows share; null takes an eighth of a window.
    """

    long_text: Literal["truncate", "error", "chunk"] = "truncate"  # type: ignore[assignment]
    stride: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "stride")


@dataclass(frozen=True)
class Sequences:
    """What ``forward`` and ``decode`` of a task on sequences read."""

    tokens: Tokens | Pairs
    params: Any


class TextTask(Task):
    """A task whose row is a text, or a pair of them: one sequence, or several windows of a long one.

    ``Params`` is a ``TextParams``. A subclass names its roles in ``texts`` and, where texts are cut or read in windows
    in a way of its own, says so in ``cut`` and ``spans``.
    """

    manifest: Manifest
    #: The roles of the first and the second text.
    texts: ClassVar[tuple[str, ...]] = ("text",)
    #: Which of two texts is cut where they are too long together.
    cut: ClassVar[Cut] = "longest_first"
    #: Whether ``decode`` reads the tokens' places in the text.
    spans: bool = False

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.tokenizer = loaded.tokenizer
        self.manifest = loaded.manifest
        self.device = loaded.device

    @classmethod
    def check(cls, params: Any, manifest: Manifest) -> None:
        if params.max_length is not None and params.max_length < manifest.special_tokens:
            raise ParameterError(
                f"expected max_length of at least {manifest.special_tokens}, the special tokens, "
                f"got {params.max_length}"
            )

    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        texts, *seconds = (texts_of(inputs[role]) for role in self.texts if role in inputs)
        pairs: list[str | None] | None = seconds[0] if seconds else None
        if pairs is not None and not schema_of(self.name).role(self.texts[1]).required:
            # An empty second text that might have been left out is none, as for transformers called row by row
            # (its own batches would add an empty segment).
            pairs = [pair or None for pair in pairs]
        return self.encode_texts(texts, pairs, params)

    def encode_texts(self, texts: Sequence[Any], pairs: Sequence[Any] | None, params: Any) -> Encoded:
        """Rows of strings → sequences, as ``params.long_text`` asks."""
        limit = longest_input(self.model, self.tokenizer, self.manifest.max_length, params.max_length)
        stride = _stride(params, limit, self.tokenizer) if params.long_text == "chunk" else None
        cut = self.cut if stride is None or pairs is None else "only_first"  # windows move over one text
        tokens = tokenize(self.tokenizer, texts, pairs, max_length=limit, cut=cut, stride=stride, spans=self.spans)
        return encoded_rows(tokens, len(texts), params, limit)

    def model_inputs(self, encoded: Encoded, items: Index) -> dict[str, Any]:
        """The padded tensors of a micro-batch, on the model's device."""
        return collate(encoded.data.tokens, items, self.tokenizer, self.device)

    @staticmethod
    def token_columns(encoded: Encoded, rows: Index) -> list[pa.Array]:
        """The ``tokens`` (int32, over all windows) and ``truncated`` (bool) columns of these rows."""
        tokens = np.bincount(encoded.owner, weights=encoded.lengths, minlength=encoded.rows)
        cut = np.bincount(encoded.owner, weights=encoded.data.tokens.truncated, minlength=encoded.rows)
        return [pa.array(tokens[rows].astype(np.int32), pa.int32()), pa.array(cut[rows] > 0, pa.bool_())]


def encoded_rows(tokens: Tokens | Pairs, rows: int, params: Any, limit: int | None) -> Encoded:
    """Sequences as items. A row whose text is too long, where that is an error, and one without tokens, fail."""
    # Tokenizers without special tokens make none of an empty text, and a sequence of padding alone has no answer.
    found = {int(row): RowError("encode_failed", _NO_TOKENS) for row in tokens.owner[tokens.lengths == 0]}
    if params.long_text == "error":
        error = RowError("too_long", f"expected at most {limit} tokens, the text has more: cut it or change long_text")
        found |= {int(row): error for row in tokens.owner[tokens.truncated]}
    return Encoded(rows, tokens.lengths, tokens.owner, Sequences(tokens, params), found)


def pooled(encoded: Encoded, rows: Index, values: npt.NDArray[np.float32], how: str) -> npt.NDArray[np.float32]:
    """Values of the items of these rows [items, …] → one for each row: the mean or the max over its windows."""
    counts = np.bincount(encoded.owner, minlength=encoded.rows)[rows]
    if values.shape[0] == rows.size:
        return values
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    if how == "max":
        return np.maximum.reduceat(values, starts, axis=0)
    sums = np.add.reduceat(values.astype(np.float64), starts, axis=0)
    return (sums / counts.reshape(-1, *[1] * (values.ndim - 1))).astype(np.float32)


def at_least(params: Any, least: float, *names: str) -> None:
    """Raises ParameterError where a parameter of these is below ``least``; null is none."""
    for name in names:
        value = getattr(params, name)
        if value is not None and value < least:
            raise ParameterError(f"expected {name} to be null or at least {least}, got {value}")


def _stride(params: Any, limit: int | None, tokenizer: Any) -> int:
    if params.stride is not None or limit is None:
        return params.stride or 0
    return max(0, limit - int(tokenizer.num_special_tokens_to_add(pair=True))) // 8
