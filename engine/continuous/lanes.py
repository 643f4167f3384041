"""Where keys and values lie: rows of like length side by side, so that a step reads them with one product a layer.

A lane has places of one capacity. Rows that write stand first in it, without gaps; behind them those whose prompts are
being read. A row that outgrows its place moves to a lane of twice the capacity, so that a token is copied about once.
Runs on the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from engine.batching import Index, is_out_of_memory
from engine.continuous.layout import Layout

if TYPE_CHECKING:
    from engine.continuous.sequence import Prefix, Sequence

#: Tokens of the smallest places.
_LEAST: Final = 64
#: A new lane takes one of so many parts of the room that is left.
_PARTS: Final = 4


class Lane:
    """Places of ``capacity`` tokens for ``width`` rows that share a prefix, or that have none.

    Attributes:
        rows: the rows in their places; the first ``writing`` of them write.
    """

    def __init__(self, layout: Layout, prefix: Prefix | None, capacity: int, width: int) -> None:
        self.prefix = prefix
        self.capacity = capacity
        self.width = width
        self.rows: list[Sequence] = []
        self.writing = 0
        self.layers = layout.buffers(width, capacity)

    @property
    def full(self) -> bool:
        return len(self.rows) == self.width

    def lengths(self) -> Index:
        """int64 [writing], tokens of each row that writes, those of the prefix left out."""
        return np.fromiter((row.length for row in self.rows[: self.writing]), np.int64, self.writing)

    def take(self, row: Sequence) -> None:
        """Gives a row the next place; it does not write yet."""
        row.lane, row.place = self, len(self.rows)
        self.rows.append(row)

    def write(self, row: Sequence) -> None:
        """The row's prompt has been read: it writes from now on."""
        self._swap(row.place, self.writing)
        self.writing += 1

    def read(self, row: Sequence) -> None:
        """The row that wrote has a prompt to read again, behind what is there."""
        self.writing -= 1
        self._swap(row.place, self.writing)

    def leave(self, row: Sequence) -> None:
        """Frees a row's place and closes the gap: the last that writes moves there, the last of all to its place.

        A row whose prompt is being read may hold NaN that nobody knows of yet, and leaves none of it behind.
        """
        gap = row.place
        if gap < self.writing:
            self.writing -= 1
            self._move(self.writing, gap)
            gap = self.writing
        else:
            self.clear(gap, row.length)
        last = len(self.rows) - 1
        if last > gap:
            self._move(last, gap)
            self.clear(last, self.rows[gap].length)
        self.rows.pop()
        row.lane = None

    def hand_over(self, row: Sequence, other: Lane) -> None:
        """The row goes on in another lane of the same capacity."""
        wrote, place = row.place < self.writing, row.place
        kept = [(keys[place, :, : row.length], values[place, :, : row.length]) for keys, values in self.layers]
        other_place = len(other.rows)
        for pair, (keys, values) in zip(other.layers, kept, strict=True):
            pair[0][other_place, :, : row.length], pair[1][other_place, :, : row.length] = keys, values
        self.leave(row)
        other.take(row)
        if wrote:
            other.write(row)

    def clear(self, place: int, length: int) -> None:
        """Zeros for so many tokens: NaN there would spoil what the place's next row makes of tokens that are masked."""
        for pair in self.layers:
            for tensor in pair:
                tensor[place, :, :length] = 0

    def views(self, row: Sequence) -> Iterator[tuple[Any, Any]]:
        """For every layer a row's keys and values [heads, capacity, size]."""
        return ((keys[row.place], values[row.place]) for keys, values in self.layers)

    def _move(self, source: int, target: int) -> None:
        """A row moves to a place whose own tokens are not needed."""
        if source == target:
            return
        row = self.rows[source]
        for pair in self.layers:
            for tensor in pair:
                tensor[target, :, : row.length] = tensor[source, :, : row.length]
        self.rows[target], row.place = row, target

    def _swap(self, one: int, other: int) -> None:
        """Two rows change places."""
        if one == other:
            return
        a, b = self.rows[one], self.rows[other]
        length = max(a.length, b.length)
        for pair in self.layers:
            for tensor in pair:
                kept = tensor[one, :, :length].clone()
                tensor[one, :, :length] = tensor[other, :, :length]
                tensor[other, :, :length] = kept
        self.rows[one], self.rows[other] = b, a
        a.place, b.place = other, one


class Lanes:
    """All lanes, within a bound.

    Args:
        layout: of the model's keys and values.
        room: tokens that lanes and prefixes may hold together.
        width: rows of a lane at most.
    """

    def __init__(self, layout: Layout, room: int, width: int) -> None:
        self.layout = layout
        self.room = room
        self.width = width
        self.held = 0
        self.stuck = room  # tokens held where memory ran out before the bound
        self.lanes: list[Lane] = []

    def __iter__(self) -> Iterator[Lane]:
        return iter(self.lanes)

    def open(self, prefix: Prefix) -> bool:
        """Makes room for the keys and values of a prefix beside the lanes; False where there is none."""
        tokens = len(prefix.ids)
        if self._full or self.held + tokens > self.room:
            return False
        try:
            prefix.open(self.layout)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            self.stuck = self.held
            return False
        self.held += tokens
        return True

    def close(self, prefix: Prefix) -> None:
        """Gives back the room of a prefix, where it has any."""
        if prefix.layers:
            prefix.close()
            self.held -= len(prefix.ids)

    def place(self, row: Sequence, tokens: int, unfinished: int) -> bool:
        """Gives a row a place for so many tokens; False where there is no room.

        Args:
            unfinished: rows that may want places beside it.
        """
        capacity = capacity_for(tokens)
        for lane in self.lanes:
            if lane.prefix is row.prefix and lane.capacity == capacity and not lane.full:
                lane.take(row)
                return True
        room = (self.room - self.held) // capacity
        if self._full or room < 1:
            return False
        # Of what is left no more than a part, so that rows of other lengths find room, too.
        width = min(self.width, max(1, unfinished), max(1, room // _PARTS))
        made = self._lane(row.prefix, capacity, width)
        if made is None:
            self.stuck = self.held
            return False
        self.held += made.width * capacity
        self.lanes.append(made)
        made.take(row)
        return True

    @property
    def _full(self) -> bool:
        """Whether as much is held as where memory ran out."""
        return 0 < self.stuck <= self.held

    def _lane(self, prefix: Prefix | None, capacity: int, width: int) -> Lane | None:
        """A new lane, narrower where memory runs out; None where it does for one row."""
        while width:
            try:
                return Lane(self.layout, prefix, capacity, width)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            width //= 2
        return None

    def leave(self, row: Sequence) -> None:
        """Frees a row's place, and the lane where it was the last in it."""
        lane = row.lane
        assert lane is not None
        lane.leave(row)
        if lane.rows and 4 * len(lane.rows) <= lane.width:
            self._empty(lane)
        if not lane.rows:
            self.lanes.remove(lane)
            self.held -= lane.width * lane.capacity

    def _empty(self, lane: Lane) -> None:
        """Moves the few rows of a lane to another of the kind that has room for all: every lane costs every layer."""
        for other in self.lanes:
            alike = other is not lane and (other.prefix, other.capacity) == (lane.prefix, lane.capacity)
            if alike and other.width - len(other.rows) >= len(lane.rows):
                while lane.rows:
                    lane.hand_over(lane.rows[-1], other)
                return

    def grow(self, row: Sequence, tokens: int, unfinished: int) -> bool:
        """Moves a row to a place for so many tokens; where there is no room it has none any more, and it is False."""
        old = row.lane
        assert old is not None
        wrote = row.place < old.writing
        kept = [(keys[:, : row.length].clone(), values[:, : row.length].clone()) for keys, values in old.views(row)]
        self.leave(row)
        if not self.place(row, tokens, unfinished):
            return False
        assert row.lane is not None
        for (keys, values), (old_keys, old_values) in zip(row.lane.views(row), kept, strict=True):
            keys[:, : row.length], values[:, : row.length] = old_keys, old_values
        if wrote:
            row.lane.write(row)
        return True


def capacity_for(tokens: int) -> int:
    """Tokens of the smallest place that holds so many: a power of two."""
    return max(_LEAST, 1 << (tokens - 1).bit_length())
