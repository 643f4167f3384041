"""What a run would find if it were started now: looked at, nothing is written. Runs on the driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs import epochs, pace, tables
from jobs.errors import RunError
from jobs.pace import Pace
from jobs.pending import pending
from jobs.provenance import Provenance
from jobs.resolved import Resolved
from jobs.storage import job_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Ahead:
    """What a run would find.

    Args:
        counted: rows.
        changed: what is another than at the last run.
        refusal: why it would be refused for that.
        pace: of the runs before; None where there was none of this model, or none on such a machine.
    """

    counted: tables.Count
    changed: tuple[str, ...] = ()
    refusal: str | None = None
    pace: Pace | None = None


def look(spark: SparkSession, resolved: Resolved) -> Ahead:
    """What a run of this job by this model would find.

    Args:
        spark: with Delta.
        resolved: the job, its model pinned.
    """
    definition, first = resolved.definition, epochs.Epoch()
    if not tables.sink_exists(spark, definition):
        return Ahead(pending(spark, definition, definition.sink.delta, None, first.checkpoint))
    folder = job_folder(spark, definition, tables.location_of(spark, definition.sink.delta))
    before, now = epochs.Epochs.read(folder), Provenance.of(resolved.model)
    changed = tuple(epochs.changes(before, now))
    try:
        found = before.next(now, definition.on_change, scored=lambda: tables.has_rows(spark, definition))
        refusal = None
    except RunError as error:
        found, refusal = before, str(error)
    place = epochs.target(definition, folder, found)
    counted = pending(spark, definition, place, folder, found.scoring.checkpoint)
    return Ahead(counted, changed, refusal, pace.known(folder, resolved))
