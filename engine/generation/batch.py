"""A micro-batch of prompts and what is asked for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.tasks.tokens import Tokens


@dataclass(frozen=True)
class Batch:
    """Prompts as a model sees them, and what is asked for each; on the CPU.

    Args:
        ids, real: int64 [rows, longest], tokens, and 1 on them, 0 on padding.
        fewest, most: int64 [rows], tokens to write before the text may end, and at most.
        uniform: float64 [rows, max(most)], random numbers between 0 and 1 for every step; None takes the best token.
    """

    ids: Index
    real: Index
    fewest: Index
    most: Index
    uniform: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def groups(self, *, by_length: bool) -> list[Index]:
        """Rows to write together: all, or those of each length, which have no padding."""
        lengths = self.real.sum(axis=1)
        return [np.flatnonzero(lengths == one) for one in np.unique(lengths)] if by_length else [np.arange(len(self))]

    def take(self, rows: Index) -> Batch:
        """These rows alone, without columns that are padding in all of them."""
        real = self.real[rows]
        used = real.any(axis=0)
        uniform = None if self.uniform is None else self.uniform[rows]
        return Batch(self.ids[rows][:, used], real[:, used], self.fewest[rows], self.most[rows], uniform)


@dataclass(frozen=True)
class Completion:
    """A text as it was written.

    Args:
        ids: int64 [tokens], the token that ended it included.
        finish_reason: stop (an end token or a stop string) or length.
        logprob: sum of the tokens' natural-log probabilities under the model, before any processing of its logits.
    """

    ids: Index
    finish_reason: str
    logprob: float


def padded(tokens: Tokens, sequences: Index, pad: int, *, left: bool) -> tuple[Index, Index]:
    """int64 [sequences, longest]: the tokens, and 1 on them, 0 on padding."""
    starts, lengths = tokens.offsets[sequences], tokens.lengths[sequences].astype(np.int64)
    longest = int(lengths.max(initial=0))
    columns = np.arange(longest) - ((longest - lengths)[:, None] if left else 0)
    real = (columns >= 0) & (columns < lengths[:, None])
    return np.where(real, tokens.ids[np.where(real, starts[:, None] + columns, 0)], pad), real.astype(np.int64)
