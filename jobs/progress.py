"""Progress of a run on a terminal: rows, speed, failed rows, time left. Runs on the driver.

Rows are counted by what was committed, never by a job of their own; between commits only finished tasks move it.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from jobs.commits import Totals


class Progress:
    """A line on stderr where that is a terminal, else nothing. ``rows`` is how many are expected."""

    def __init__(self, rows: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        text = TextColumn("{task.description}")
        self._bar = Bar(text, BarColumn(), console=console, transient=True, disable=not sys.stderr.isatty())
        self._task = self._bar.add_task("scoring", total=rows)
        self._start = time.monotonic()
        self._rows = rows

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.stop()

    def committed(self, totals: Totals) -> None:
        """Called after each commit."""
        text = line(totals, seconds=time.monotonic() - self._start, rows=self._rows)
        self._bar.update(self._task, completed=totals.stats.rows, description=text)


def line(totals: Totals, *, seconds: float, rows: int | None) -> str:
    """``1,200 of 4,000 rows · 300 rows/s · 9,000 tokens/s · 2 failed · 9 s left``."""
    done = totals.stats
    rate = done.rows / seconds if seconds else 0.0
    of = f" of {rows:,}" if rows is not None else ""
    parts = [
        f"{done.rows:,}{of} rows",
        f"{rate:,.0f} rows/s",
        f"{done.tokens / seconds if seconds else 0:,.0f} tokens/s",
    ]
    if done.audio_s:
        parts.append(f"{done.audio_s / seconds if seconds else 0:,.0f} times real time")
    parts.append(f"{done.failed:,} failed")
    if rows is not None and rate:
        parts.append(f"{max(0, rows - done.rows) / rate:,.0f} s left")
    return " · ".join(parts)
