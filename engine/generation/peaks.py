"""The largest of logits, found by the maxima of blocks of tokens: one quick pass instead of a search or a sort."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

#: Tokens of a block at most, and blocks at least, where the vocabulary has so many.
_WIDTH: Final = 64
_BLOCKS: Final = 1024
#: Logits handled at once: on a CPU so few that caches hold them and no memory is asked for and given back.
_AT_ONCE: Final = 1 << 20
_AT_ONCE_ELSEWHERE: Final = 1 << 26


class Peaks:
    """Logits float32 [rows, vocabulary] and the maxima of their blocks, which ``renew`` brings after a change of them.

    Attributes:
        maxima: float32 [rows, whole (+ 1)]; the last, where the vocabulary is no multiple, is that of what is left.
        width: tokens of a block.
        whole: blocks that have all their tokens.
    """

    def __init__(self, logits: Any) -> None:
        import torch

        self.logits = logits
        self.size = int(logits.shape[1])
        self.width = max(1, min(_WIDTH, self.size // _BLOCKS))
        self.whole = self.size // self.width
        self.left = self.whole * self.width
        self.maxima = torch.cat([self._maxima(part) for part in logits.split(at_once(logits))])

    def renew(self, rows: Any) -> None:
        """Rows int64 [any], whose logits have changed."""
        for _, some in parts(rows, self.logits):
            self.maxima[some] = self._maxima(selected(self.logits, some))

    def best(self, rows: Any) -> tuple[Any, Any]:
        """float32 and int64 [rows]: the largest logit and its token, the first of equal ones; NaN where any is."""
        import torch

        values, blocks = self.maxima[rows].max(dim=-1)
        ids = blocks[:, None] * self.width + torch.arange(self.width, device=blocks.device)
        inside = self.logits[rows[:, None], ids.clamp(max=self.size - 1)].masked_fill(ids >= self.size, -float("inf"))
        return values, blocks * self.width + inside.argmax(dim=-1)

    def top(self, rows: Any, count: int) -> tuple[Any, Any]:
        """float32 and int64 [rows, count]: the largest logits and their tokens, best first, equal ones by token."""
        import torch

        blocks = self.maxima[rows, : self.whole].topk(min(count, self.whole)).indices
        values, places = self._within(rows, blocks).topk(min(count, self.size))
        ids, order = self._ids(blocks, torch.arange(len(rows), device=rows.device)[:, None], places).sort(dim=-1)
        values, places = values.gather(1, order).sort(dim=-1, descending=True, stable=True)
        return values, ids.gather(1, places)

    def few(self, rows: Any, blocks: int) -> tuple[Any, Any, Any]:
        """The tokens whose logits lie above a bar, each row's own: about ``blocks`` of them or some more.

        Returns:
            float32 and int64 [rows, most], logits and tokens in the order of tokens, padded with -inf; float32 [rows],
            the bars, -inf where every token that is possible at all is there.
        """
        blocks = min(blocks, self.whole)
        highest = self.maxima[rows, : self.whole].topk(blocks)
        bar, chosen = highest.values[:, -1], highest.indices.sort(dim=-1).values
        if blocks == self.whole:
            bar = bar.new_full(bar.shape, -float("inf"))
        values = self._within(rows, chosen)
        row, place = (values > bar[:, None]).nonzero(as_tuple=True)
        return *_padded(row, values[row, place], self._ids(chosen, row, place), len(rows)), bar

    def above(self, rows: Any, bar: Any) -> tuple[Any, Any]:
        """The same for given bars, float32 [rows]."""
        import torch

        found = []
        for part, some in parts(rows, self.logits):
            logits = selected(self.logits, some)
            row, ids = (logits > bar[part, None]).nonzero(as_tuple=True)
            found.append((row + part.start, logits[row, ids], ids))
        row, values, ids = (torch.cat(one) for one in zip(*found, strict=True))
        return _padded(row, values, ids, len(rows))

    def _maxima(self, part: Any) -> Any:
        import torch

        blocks = part[:, : self.left].unflatten(1, (self.whole, self.width)).amax(dim=-1)
        return blocks if self.left == self.size else torch.cat([blocks, part[:, self.left :].amax(-1, True)], dim=1)

    def _within(self, rows: Any, blocks: Any) -> Any:
        """Logits [rows, blocks × width + what is left]: of these blocks of each row, and of the tokens outside all."""
        import torch

        view = self.logits[:, : self.left].unflatten(1, (self.whole, self.width))
        return torch.cat([view[rows[:, None], blocks].flatten(1), self.logits[rows, self.left :]], dim=1)

    def _ids(self, blocks: Any, row: Any, place: Any) -> Any:
        """The tokens at places of what ``_within`` gave for blocks [rows, any]."""
        block, beyond = place // self.width, place - blocks.shape[1] * self.width
        inside = blocks[row, block.clamp(max=blocks.shape[1] - 1)] * self.width + place % self.width
        return inside.where(beyond < 0, self.left + beyond)


def _padded(row: Any, values: Any, ids: Any, rows: int) -> tuple[Any, Any]:
    """Values and ids [any], of rows in their order → both [rows, most], padded with -inf and 0."""
    import torch

    counts = torch.bincount(row, minlength=rows)
    column = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    shape = (rows, max(1, int(counts.max())))
    padded, tokens = values.new_full(shape, -float("inf")), ids.new_zeros(shape)
    padded[row, column], tokens[row, column] = values, ids
    return padded, tokens


def at_once(logits: Any) -> int:
    """Rows of logits to handle at once."""
    most = _AT_ONCE if logits.device.type == "cpu" else _AT_ONCE_ELSEWHERE
    return max(1, most // int(logits.shape[1]))


def parts(rows: Any, logits: Any) -> Iterator[tuple[slice, Any]]:
    """Row numbers in runs that are handled at once, each with where it stands among them."""
    step = at_once(logits)
    for first in range(0, len(rows), step):
        yield slice(first, first + step), rows[first : first + step]


def selected(logits: Any, rows: Any) -> Any:
    """The logits of these rows, int64 [at least 1]; rows that stand beside each other are not copied."""
    first, last = int(rows[0]), int(rows[-1])
    return logits[first : last + 1] if last - first == len(rows) - 1 else logits[rows]
