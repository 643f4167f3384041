"""In how many tasks a table is scored: enough for every worker, each of seconds. Runs on the driver."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.summary import Planned

#: Seconds of scoring that a task should have at least: starting one, and the file it writes, cost some hundredths.
_TASK_S: Final = 2.0
#: Tasks for each worker that are never put together, so that none waits long for the slowest.
_EACH: Final = 4


def most_tasks(planned: Planned, slots: int) -> int | None:
    """Tasks that so many rows make at most, ``slots`` of them at once; None where no speed is known."""
    if not planned.rows or not planned.rows_per_s:
        return None
    worker_s = planned.rows / planned.rows_per_s * slots
    return max(_EACH * slots, math.ceil(worker_s / _TASK_S))


def tasks(parts: int, slots: int, most: int | None) -> int:
    """In how many tasks a table of so many partitions is scored."""
    return max(parts, slots) if most is None else min(max(parts, slots), most)


def spread(rows: DataFrame, slots: int, most: int | None = None) -> DataFrame:
    """The rows in as many parts as tasks run at once, or more; not in so many that starting them takes the time."""
    # A small source may lie in one file: one worker would score while the others wait.
    parts = rows.rdd.getNumPartitions()
    wanted = tasks(parts, slots, most)
    if wanted == parts:
        return rows
    return rows.repartition(wanted) if wanted > parts else rows.coalesce(wanted)


def told(parts: int, slots: int, most: int | None) -> str:
    """The tasks of a table, and why, for ``embercast plan``."""
    wanted = tasks(parts, slots, most)
    if wanted > parts:
        return f"{wanted:,} ({parts:,} in the source, made more so that every worker has one)"
    if wanted < parts:
        return f"{wanted:,} ({parts:,} in the source, put together so that each has {_TASK_S:.0f} s of work)"
    return f"{wanted:,} (as the source has them)"
