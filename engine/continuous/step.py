"""One pass through the model: a token of every row that writes, and pieces of prompts. Runs on the device."""

from __future__ import annotations

from collections.abc import Sequence as Many
from typing import Any

import numpy as np

from engine.batching import Index
from engine.continuous import attention
from engine.continuous.lanes import Lane
from engine.continuous.layout import Layout
from engine.continuous.sequence import Prefix, Sequence


class Step:
    """What one pass reads.

    Args:
        lanes: whose rows write a token each.
        pieces: what is read of prompts: the next ``tokens`` of each.
        layout: of keys and values.

    Attributes:
        ids, positions: int64 [tokens], lane by lane, then piece by piece.
        wanted: where in these the logits are wanted: of every row that writes and every prompt that ends.
        rows: whose logits those are, in that order.
    """

    def __init__(self, lanes: Many[Lane], pieces: Many[tuple[Sequence | Prefix, int]], layout: Layout) -> None:
        self.rows: list[Sequence] = []
        self._lanes: list[_Writing] = []
        self._pieces: list[_Reading] = []
        ids: list[Index] = []
        positions: list[Index] = []
        wanted: list[Index] = []
        start = 0
        for lane in lanes:
            rows = lane.rows[: lane.writing]
            self.rows += rows
            self._lanes.append(_Writing(lane, start, layout.device))
            ids.append(np.fromiter((row.row.written[row.row.step - 1] for row in rows), np.int64, len(rows)))
            positions.append(np.fromiter((row.position for row in rows), np.int64, len(rows)))
            wanted.append(np.arange(start, start + len(rows)))
            start += len(rows)
        for one, tokens in pieces:
            reading = _Reading(one, tokens, start, layout)
            self._pieces.append(reading)
            ids.append(one.ids[one.length : one.length + tokens])
            positions.append(np.arange(reading.before, reading.before + tokens))
            start += tokens
            if isinstance(one, Sequence) and tokens == one.left:
                self.rows.append(one)
                wanted.append(np.array([start - 1]))
        self.ids = np.concatenate(ids)
        self.positions = np.concatenate(positions)
        self.wanted = np.concatenate(wanted) if wanted else np.zeros(0, np.int64)

    def attend(self, call: attention.Call, query: Any, key: Any, value: Any) -> Any:
        """query [heads, tokens, size], key and value [key heads, tokens, size] → [heads, tokens, value size]."""
        parts = [lane.attend(call, query, key, value) for lane in self._lanes]
        parts += [piece.attend(call, query, key, value) for piece in self._pieces]
        return parts[0] if len(parts) == 1 else _joined(parts)

    def done(self) -> None:
        """The pass went through: what it read is there now."""
        for part in self._lanes:
            for row in part.rows:
                row.length += 1
        for piece in self._pieces:
            piece.of.length += piece.tokens


def _joined(parts: list[Any]) -> Any:
    import torch

    return torch.cat(parts, dim=1)


class _Writing:
    """The rows of a lane that write, a token each, from ``start`` in the step's line."""

    def __init__(self, lane: Lane, start: int, device: str) -> None:
        import torch

        self.lane = lane
        self.rows = lane.rows[: lane.writing]
        self.start, self.end = start, start + len(self.rows)
        lengths = lane.lengths()
        self.longest = int(lengths.max()) + 1
        self.lengths = torch.from_numpy(lengths).to(device)
        self.at = torch.arange(len(self.rows), device=device)
        self.shared = 0 if lane.prefix is None else len(lane.prefix.ids)
        self._seen: dict[int | None, Any] = {}
        self._added: Any = None

    def attend(self, call: attention.Call, query: Any, key: Any, value: Any) -> Any:
        keys, values = self.lane.layers[call.layer]
        here = slice(self.start, self.end)
        keys[self.at, :, self.lengths] = key[:, here].transpose(0, 1)
        values[self.at, :, self.lengths] = value[:, here].transpose(0, 1)
        count = len(self.rows)
        keys, values = keys[:count, :, : self.longest], values[:count, :, : self.longest]
        queries = query[:, here].transpose(0, 1)
        if self.lane.prefix is not None:
            out = self._with_prefix(call, queries, keys, values)
        elif call.plain:  # query heads that share a key head stand as rows of one product: no key is read twice
            grouped = queries.reshape(count, keys.shape[1], -1, queries.shape[-1])
            out = attention.product(call, grouped, keys, values, self.seen(call.window))
        else:
            out = attention.product(call, queries.unsqueeze(2), keys, values, self.seen(call.window))
        return out.reshape(count, query.shape[0], -1).transpose(0, 1)

    def seen(self, window: int | None) -> Any:
        """bool [rows, 1, 1, prefix + longest], which keys a row sees."""
        import torch

        if window not in self._seen:
            own = torch.arange(-self.shared, self.longest, device=self.lengths.device)
            seen = own <= self.lengths[:, None]
            if window is not None:
                seen &= own > self.lengths[:, None] - window
            self._seen[window] = seen[:, None, None, :]
        return self._seen[window]

    def _with_prefix(self, call: attention.Call, queries: Any, keys: Any, values: Any) -> Any:
        """A softmax over the prefix, whose keys all rows multiply at once, and each row's own.

        queries [rows, heads, size], keys and values [rows, key heads, longest, size] → [rows, key heads, group, size].
        """
        assert self.lane.prefix is not None
        before, valued = self.lane.prefix.layers[call.layer]
        rows, heads, count, size = len(queries), keys.shape[1], queries.shape[1] // keys.shape[1], queries.shape[-1]
        queries = queries.reshape(rows, heads, count, size)
        flat = queries.transpose(0, 1).reshape(heads, rows * count, size)

        def by_row(found: Any) -> Any:
            return found.view(heads, rows, count, *found.shape[2:]).transpose(0, 1)

        if call.window is None and attention.tells_sums(call, queries):
            own, own_sum = attention.summed(call, queries, keys, values, self._bias())
            shared, shared_sum = attention.summed(call, flat[None], before[None], valued[None], None)
            return attention.joined(own, own_sum, by_row(shared[0]), by_row(shared_sum[0]))
        return self._together(call, queries, keys, values, by_row(flat @ before.transpose(-1, -2)), valued)

    def _together(self, call: attention.Call, queries: Any, keys: Any, values: Any, shared: Any, valued: Any) -> Any:
        """The same by one softmax, of products with the prefix ``shared`` [rows, key heads, group, tokens]."""
        import torch

        rows, heads, count, _ = queries.shape
        scores = torch.cat([shared, queries @ keys.transpose(-1, -2)], dim=-1)
        weights = attention.softmax(call, scores.unsqueeze(3), self.seen(call.window).unsqueeze(2)).squeeze(3)
        weights = weights.to(values.dtype)
        flat = weights[..., : self.shared].transpose(0, 1).reshape(heads, rows * count, -1)
        out = (flat @ valued).view(heads, rows, count, -1).transpose(0, 1)
        return out + weights[..., self.shared :] @ values

    def _bias(self) -> Any:
        """float [rows, 1, 1, longest], what is added to products with keys: 0, and -inf where there is none yet."""
        if self._added is None:
            own = self.seen(None)[..., self.shared :]
            bias = own.new_zeros(own.shape, dtype=self.lane.layers[0][0].dtype)
            self._added = bias.masked_fill_(~own, -float("inf"))
        return self._added


class _Reading:
    """A piece of a prompt, from ``start`` in the step's line."""

    def __init__(self, of: Sequence | Prefix, tokens: int, start: int, layout: Layout) -> None:
        self.of = of
        self.tokens = tokens
        self.start, self.end = start, start + tokens
        self.shared = 0 if of.prefix is None else len(of.prefix.ids)
        self.before = self.shared + of.length
        self.device = layout.device
        self.views = list(of.views())
        self._seen: dict[int | None, Any] = {}

    def attend(self, call: attention.Call, query: Any, key: Any, value: Any) -> Any:
        import torch

        keys, values = self.views[call.layer]
        here, upto = slice(self.start, self.end), self.of.length + self.tokens
        keys[:, self.of.length : upto] = key[:, here]
        values[:, self.of.length : upto] = value[:, here]
        keys, values = keys[:, :upto], values[:, :upto]
        if self.of.prefix is not None:
            before, valued = self.of.prefix.layers[call.layer]
            keys, values = torch.cat([before, keys], dim=1), torch.cat([valued, values], dim=1)
        return attention.product(call, query[None, :, here], keys[None], values[None], self.seen(call.window))[0]

    def seen(self, window: int | None) -> Any:
        """bool [tokens, before + tokens], which keys a token sees; None for all up to its own, from the start."""
        if window not in self._seen:
            self._seen[window] = causal(self.before, self.tokens, window, self.device)
        return self._seen[window]


def causal(before: int, tokens: int, window: int | None, device: Any) -> Any:
    """bool [tokens, before + tokens], which keys these tokens see; None for all up to its own, from the start."""
    import torch

    if before == 0 and (window is None or window >= tokens):
        return None
    query = torch.arange(before, before + tokens, device=device)[:, None]
    key = torch.arange(before + tokens, device=device)
    seen = key <= query
    return seen if window is None else seen & (key > query - window)
