"""Counts of two runs → bars that can be set beside each other, and how far they are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from jobs.page.counts import STEPS, Counted
from jobs.references import mask

#: Names that are shown; the rarer ones are one bar.
_SHOWN: Final = 20
OTHERS: Final = "others"
_TO: Final = " – "


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """How often a run's answers have each value, and those of the run before it.

    Args:
        title: what is counted.
        bars: the values, or ranges of them.
        now, before: how often, a number a bar; before is empty where there is no run to compare with.
        ordered: whether the bars are steps of a range.
        moved: the share of answers that are elsewhere than before, 0 to 1 (the total variation distance: half the sum
            of the differences of the shares); None where there is nothing to compare.
    """

    title: str
    bars: tuple[str, ...]
    now: tuple[int, ...]
    before: tuple[int, ...] = ()
    ordered: bool = False
    moved: float | None = None

    @property
    def starts(self) -> tuple[str, ...]:
        """The values, or where their ranges start."""
        return tuple(bar.partition(_TO)[0] for bar in self.bars) if self.ordered else self.bars


def distribution(counted: Counted) -> Distribution | None:
    """Of what was counted; None where the run has nothing of it."""
    if not counted.now:
        return None
    ordered = counted.of.kind != "name"
    values, bars = _steps(counted) if ordered else _names(counted)
    now = _each(counted.now, values, rest=not ordered)
    before = _each(counted.before, values, rest=not ordered) if counted.before else ()
    if not ordered and (now[-1] or (before and before[-1])):
        bars = (*bars, OTHERS)
    return Distribution(
        title=counted.of.title,
        bars=bars,
        now=now[: len(bars)],
        before=before[: len(bars)],
        ordered=ordered,
        moved=moved(now, before) if before else None,
    )


def moved(now: Sequence[int], before: Sequence[int]) -> float:
    """The total variation distance of two distributions, 0 where they are alike and 1 where they share nothing."""
    of, other = sum(now), sum(before)
    return sum(abs(one / of - two / other) for one, two in zip(now, before, strict=True)) / 2


def _each(counts: dict[str, int], values: Sequence[str], *, rest: bool) -> tuple[int, ...]:
    """A number for each value; with ``rest`` one more for all others."""
    found = [counts.get(value, 0) for value in values]
    return (*found, sum(counts.values()) - sum(found)) if rest else tuple(found)


def _names(counted: Counted) -> tuple[Sequence[str], tuple[str, ...]]:
    """The most frequent first."""
    both = {name: counted.now.get(name, 0) + counted.before.get(name, 0) for name in {**counted.now, **counted.before}}
    shown = sorted(both, key=lambda name: (-both[name], name))[:_SHOWN]
    return shown, tuple(mask(name) for name in shown)


def _steps(counted: Counted) -> tuple[Sequence[str], tuple[str, ...]]:
    width = (counted.high - counted.low) / STEPS
    if not width:
        return ["0"], (_text(counted, counted.low),)
    ends = [_text(counted, counted.low + at * width) for at in range(STEPS + 1)]
    return [str(at) for at in range(STEPS)], tuple(f"{one}{_TO}{two}" for one, two in pairwise(ends))


def _text(counted: Counted, end: float) -> str:
    number = 2.0**end - 1 if counted.of.kind == "growing" else end
    return f"{number:,.3g}" if abs(number) < 1000 else f"{number:,.0f}"
