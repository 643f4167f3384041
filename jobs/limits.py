"""What a run may take, against what it is expected to take and what it took. Runs on the driver."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from jobs.errors import LimitReachedError, TooManyFailedRowsError
from jobs.summary import Planned, duration

if TYPE_CHECKING:
    from jobs.commits import Totals
    from jobs.definition import JobDefinition

_HOUR_S: Final = 3600.0
#: Rows after which the share that failed says something of a run whose end nobody knows.
_ENOUGH: Final = 1000


def price(definition: JobDefinition, seconds: float) -> float | None:
    """What so many seconds of the cluster cost, in the currency of ``compute.price_per_hour``; None without one."""
    hourly = definition.compute.price_per_hour
    return None if hourly is None else hourly * seconds / _HOUR_S


def exceeded(definition: JobDefinition, planned: Planned) -> str | None:
    """Which limit a run is expected to exceed, in a sentence; None where it keeps within all of them."""
    limits, expected = definition.limits, price(definition, planned.seconds)
    if limits.max_rows is not None and planned.rows > limits.max_rows:
        return f"{planned.rows:,} rows are to be scored, limits.max_rows allows {limits.max_rows:,}"
    if limits.max_hours is not None and planned.seconds > limits.max_hours * _HOUR_S:
        allowed = duration(limits.max_hours * _HOUR_S)
        return f"the run should take {duration(planned.seconds)}, limits.max_hours allows {allowed}"
    if limits.max_price is not None and expected is not None and expected > limits.max_price:
        return f"the run should cost {expected:,.2f}, limits.max_price allows {limits.max_price:,.2f}"
    return None


def check(definition: JobDefinition, planned: Planned) -> None:
    """Raises LimitReachedError where the run is expected to exceed a limit."""
    reason = exceeded(definition, planned)
    if reason is not None:
        raise LimitReachedError(
            f"{reason}: nothing was scored. Raise the limit, or score less at once (source.where); "
            "`embercast plan` shows what a run would take"
        )


@dataclass
class Watch:
    """Whether a run that is under way has to end; asked before each commit, which is then left to the next run.

    Args:
        definition: the job.
        planned: what was expected; its rows decide when too many have failed for the rest to make up for it.
        start: ``time.monotonic()`` when the run began.
    """

    definition: JobDefinition
    planned: Planned
    start: float = field(default_factory=time.monotonic)

    def check(self, totals: Totals) -> None:
        """Raises LimitReachedError at a limit, TooManyFailedRowsError where the rows left can not help."""
        if (reason := self._reached(totals)) is not None:
            raise LimitReachedError(f"{reason}: what was scored is kept, and the next run goes on from there")
        if self._lost(totals):
            raise TooManyFailedRowsError(
                f"{totals.stats.failed:,} of {totals.stats.rows:,} rows failed, more than errors.max_fraction allows "
                "even were all that are left to be well: what was scored is kept"
            )

    def _reached(self, totals: Totals) -> str | None:
        limits, done = self.definition.limits, totals.stats
        seconds = time.monotonic() - self.start
        spent = price(self.definition, seconds)
        if limits.max_rows is not None and done.rows >= limits.max_rows:
            return f"{done.rows:,} rows were scored, limits.max_rows allows {limits.max_rows:,}"
        if limits.max_hours is not None and seconds >= limits.max_hours * _HOUR_S:
            return f"the run took {duration(seconds)}, limits.max_hours allows {duration(limits.max_hours * _HOUR_S)}"
        if limits.max_price is not None and spent is not None and spent >= limits.max_price:
            return f"the run cost {spent:,.2f}, limits.max_price allows {limits.max_price:,.2f}"
        return None

    def _lost(self, totals: Totals) -> bool:
        least = _ENOUGH if self.definition.trigger else 0
        rows = max(self.planned.rows, totals.stats.rows, least)
        return totals.stats.failed > self.definition.errors.max_fraction * rows
