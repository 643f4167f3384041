"""A question with a long context: windows that each hold the whole question and a part of the context."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.tasks.tokens import Spans, Tokens


def context_windows(tokens: Tokens, side: int, *, limit: int, stride: int) -> Tokens:
    """Sequences of at most ``limit`` tokens from whole ones with their spans: a long context is read in windows.

    Every window has all tokens before and after the context; neighbours share ``stride`` tokens of the context, and
    the last one ends where the context ends. Windows are cut here, not by the tokenizer, which would turn the shared
    tokens into Python objects once a window, and ends the process where a question leaves no room.

    Args:
        tokens: sequences that nothing was cut of, with spans.
        side: of the context, 0 or 1.

    Returns windows in the order of their sequences. A sequence has none where it has no token, or where what stands
    beside its context leaves room for no more than ``stride`` tokens.
    """
    assert tokens.spans is not None
    lengths = tokens.lengths.astype(np.int64)
    first, count = context_of(tokens.spans.side == side, tokens.offsets)
    room = limit - lengths + count
    step = room - stride
    windows = np.where(lengths <= limit, 1, np.where(step > 0, 1 - (room - count) // np.maximum(step, 1), 0))
    windows[lengths == 0] = 0

    owner = np.repeat(np.arange(lengths.size), windows)
    start = (np.arange(owner.size) - np.repeat(np.cumsum(windows) - windows, windows)) * step[owner]
    size = np.minimum(np.where(lengths <= limit, count, room)[owner], count[owner] - start)
    context = first[owner] + start
    # A window is three runs of its sequence: what stands before the context, a part of the context, what stands after.
    runs = np.stack([tokens.offsets[:-1][owner], context, (first + count)[owner]], axis=1)
    sizes = np.stack([(first - tokens.offsets[:-1])[owner], size, (tokens.offsets[1:] - first - count)[owner]], axis=1)
    offsets = np.concatenate([[0], np.cumsum(sizes.sum(axis=1))])
    return _taken(tokens, ranges(runs.ravel(), sizes.ravel()), offsets, owner)


def some(tokens: Tokens, sequences: Index) -> Tokens:
    """Some of the sequences, in this order, with their spans."""
    lengths = tokens.lengths[sequences].astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return _taken(tokens, ranges(tokens.offsets[sequences], lengths), offsets, sequences)


def context_of(inside: npt.NDArray[np.bool_], offsets: Index) -> tuple[Index, Index]:
    """Where the context starts among all tokens, and how many tokens it has: int64 [sequences] each.

    Args:
        inside: bool [all tokens], whether the token is of the context: a run of tokens in each sequence.
        offsets: int64 [sequences + 1]. A sequence without a context has its start at the sequence's end.
    """
    before = np.concatenate([[0], np.cumsum(inside)])
    count = before[offsets[1:]] - before[offsets[:-1]]
    places = np.append(np.flatnonzero(inside), inside.size)
    return np.where(count > 0, places[before[offsets[:-1]]], offsets[1:]), count


def ranges(starts: Index, lengths: Index) -> Index:
    """The whole numbers from each start on, as many as its length says, end to end."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if ends.size else 0)


def _taken(tokens: Tokens, at: Index, offsets: Index, sequences: Index) -> Tokens:
    spans = tokens.spans
    assert spans is not None
    spans = Spans(spans.start[at], spans.end[at], spans.word[at], spans.side[at])
    cut = tokens.truncated[sequences]
    return Tokens(tokens.ids[at], tokens.types[at], offsets, cut, tokens.owner[sequences], spans)
