"""What goes through the model: the tokens of a row, or the beginning that rows share. Runs in the worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.batching import Index
from engine.continuous.layout import Layout
from engine.continuous.row import Row

if TYPE_CHECKING:
    from engine.continuous.lanes import Lane


class Prefix:
    """A beginning that rows share.

    Attributes:
        ids: int64 [tokens].
        length: of these, tokens whose keys and values are there.
        members: rows that are not finished yet.
    """

    prefix = None

    def __init__(self, ids: Index, members: int) -> None:
        self.ids = ids
        self.members = members
        self.length = 0
        self.layers: list[tuple[Any, Any]] = []

    @property
    def ready(self) -> bool:
        return self.length == len(self.ids)

    @property
    def left(self) -> int:
        """Tokens that are still to be read."""
        return len(self.ids) - self.length

    def open(self, layout: Layout) -> None:
        """Makes room for its keys and values."""
        self.layers = layout.buffers(len(self.ids))

    def close(self) -> None:
        """Gives them up; where rows still begin with it, it is opened and read again."""
        self.layers = []
        self.length = 0

    def views(self) -> Iterator[tuple[Any, Any]]:
        """For every layer keys and values [heads, tokens, size]."""
        return iter(self.layers)


class Sequence:
    """A row on its way through the model.

    Attributes:
        row: the text.
        prefix: the beginning that it shares with others, whose keys and values lie there; None without.
        begun: the beginning that it shares with few others, which is copied to its own place; None without, and then.
        ids: int64 [tokens] to be read behind the prefix: of the prompt, and what was written before it had to give way.
        length: tokens behind the prefix whose keys and values are there.
        lane, place: where these lie; None while it waits.
    """

    def __init__(self, row: Row, prefix: Prefix | None, begun: Prefix | None = None) -> None:
        self.row = row
        self.prefix = prefix
        self.begun = begun
        self.lane: Lane | None = None
        self.place = -1
        self.length = 0
        self.ids = self._behind()

    @property
    def left(self) -> int:
        """Tokens that are still to be read before it writes."""
        return len(self.ids) - self.length

    @property
    def shared(self) -> Prefix | None:
        """The beginning that has to be read before the row is."""
        return self.prefix or self.begun

    def begin(self) -> None:
        """Copies the beginning to its place."""
        assert self.begun is not None
        self.length = len(self.begun.ids)
        for (keys, values), (before, valued) in zip(self.views(), self.begun.views(), strict=True):
            keys[:, : self.length], values[:, : self.length] = before, valued
        self.begun = None

    @property
    def position(self) -> int:
        """Of the next token in the text."""
        return self.length + (0 if self.prefix is None else len(self.prefix.ids))

    def back(self) -> None:
        """It gave way: its keys and values are gone, and what it has written is read again like its prompt."""
        self.length = 0
        self.row.cached = min(self.row.cached, 0 if self.prefix is None else len(self.prefix.ids))
        self.ids = np.concatenate([self._behind(), self.row.ids])

    def views(self) -> Iterator[tuple[Any, Any]]:
        """For every layer keys and values [heads, capacity, size]."""
        assert self.lane is not None
        return self.lane.views(self)

    def _behind(self) -> Index:
        return self.row.prompt.ids[0 if self.prefix is None else len(self.prefix.ids) :]
