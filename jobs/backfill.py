"""backfill(definition): all rows of a source in the place of a part of the sink, in one commit. Runs on the driver.

Doing it twice is the same as once: that is what ``mode: replace_where`` is for, a partition at a time (``--var ds=…``).
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.errors import SchemaError
from jobs import causes, letters, limits, pace, tables
from jobs.commits import Totals, version_of_run
from jobs.lease import Lease
from jobs.references import reveal
from jobs.resolved import Resolved, resolve
from jobs.runner import ended, expected, new_run_id, summary_of
from jobs.scoring import sink_rows
from jobs.spread import most_tasks
from jobs.storage import job_folder
from jobs.summary import Summary
from jobs.told import told_of
from jobs.writes import overwrite

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition


def backfill(definition: JobDefinition, *, spark: SparkSession) -> Summary:
    """Scores every row of the source; they take the place of this job's rows that meet ``sink.replace_where``.

    Args:
        definition: the job, of mode replace_where.
        spark: with Delta (``jobs.session``).

    A source without rows leaves none there. Raises what ``jobs.runner.run`` does, and SchemaError for a condition that
    the sink's columns can't answer.
    """
    start = time.monotonic()
    run_id = new_run_id(definition)
    resolved = resolve(spark, definition)
    _check(spark, resolved)
    location = tables.create(spark, definition.sink.delta, resolved.sink_schema)
    folder = job_folder(spark, definition, location)
    with causes.told(definition), Lease(folder, run_id) as lease:
        rows = tables.read_source(spark, definition)
        planned = expected(spark, resolved, folder, rows.count())
        lease.rows = planned.rows
        resolved = replace(resolved, most_tasks=most_tasks(planned, resolved.slots))
        limits.check(definition, planned)
        scored, counts = sink_rows(rows, resolved, run_id)
        lease.check()
        where = reveal(definition.sink.replace_where)
        totals = Totals()
        overwrite(scored, definition, metadata=json.dumps(told_of(resolved, run_id)), where=where)
        totals.add(version_of_run(spark, definition, run_id), counts.get)
        pace.ran(folder, resolved, totals.stats)
        letters.note(spark, definition, folder)
    return ended(definition, summary_of(resolved, run_id, totals, None, planned, time.monotonic() - start))


def _check(spark: SparkSession, resolved: Resolved) -> None:
    from pyspark.errors import AnalysisException

    condition = reveal(resolved.definition.sink.replace_where)
    try:
        spark.createDataFrame([], resolved.sink_schema).where(condition or "").schema  # noqa: B018 - Spark looks at it
    except AnalysisException as error:
        raise SchemaError(
            f"expected sink.replace_where to be a condition on the sink's columns, {error.getMessage()}. "
            "Columns of the source are there where sink.keep names them"
        ) from error
