"""retry(definition): the rows whose error a retry can help, scored again and put in their place. Runs on the driver.

They are scored into a table beside the sink and merged into it by key in one commit: a reader finds the row that failed
or the one that was scored again, never both or neither.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from jobs import causes, letters, limits, merging, tables
from jobs.commits import Totals, version_of_run
from jobs.epochs import Epochs
from jobs.errors import RunError
from jobs.lease import Lease
from jobs.provenance import Provenance
from jobs.resolved import Resolved, resolve
from jobs.runner import expected, new_run_id, summary_of
from jobs.scoring import sink_rows
from jobs.storage import Folder, job_folder
from jobs.summary import Summary
from jobs.told import told_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.definition import JobDefinition


def retry(definition: JobDefinition, *, spark: SparkSession) -> Summary:
    """Scores the rows of the sink again whose error says that a retry can help, as they are in the source now.

    Args:
        definition: the job.
        spark: with Delta (``jobs.session``).

    Rows that are gone from the source keep their error. Raises what ``jobs.runner.run`` does but for the share of rows
    that failed, and RunError where a rescore is under way, or where several rows of the source have the key of one that
    failed.
    """
    start = time.monotonic()
    run_id = new_run_id(definition)
    resolved = resolve(spark, definition)
    folder = _folder(spark, resolved)
    with causes.told(definition), Lease(folder, run_id) as lease:
        rows = _failed(spark, definition)
        count = rows.count()
        planned = expected(spark, resolved, folder, count)
        limits.check(definition, planned)
        lease.rows = count
        totals = Totals()
        if count:
            rows, counts = sink_rows(rows, resolved, run_id)
            merging.stage(rows, folder)
            lease.check()
            _merge(definition, json.dumps(told_of(resolved, run_id)))(spark, definition.sink.delta, folder)
            totals.add(version_of_run(spark, definition, run_id), counts.get)
        letters.note(spark, definition, folder)
    return summary_of(resolved, run_id, totals, None, planned, time.monotonic() - start)


def _folder(spark: SparkSession, resolved: Resolved) -> Folder:
    definition = resolved.definition
    if not tables.sink_exists(spark, definition):
        raise RunError(f"expected rows in {definition.sink.shown}, there is no sink yet: run the job first")
    folder = job_folder(spark, definition, tables.location_of(spark, definition.sink.delta))
    epochs = Epochs.read(folder)
    if definition.on_change == "fail":
        epochs.next(Provenance.of(resolved.model), "fail", scored=lambda: tables.has_rows(spark, definition))
    if epochs.following is not None:
        raise RunError("a rescore of this job is under way, which scores the failed rows too: run the job to its end")
    return folder


def _failed(spark: SparkSession, definition: JobDefinition) -> DataFrame:
    """The rows of the source, as they are now, whose row in the sink may be retried."""
    found = tables.own_rows(spark, definition)
    assert found is not None
    key = definition.source.row_key
    keys = found.where(f"{definition.sink.output}.error.retryable").select(*key).distinct()
    return tables.read_these(spark, definition, keys)


def _merge(definition: JobDefinition, metadata: str) -> merging.Merge:
    own = f"sink.{definition.own} AND sink.`{definition.sink.output}`.error.retryable"
    return merging.Merge(key=definition.source.row_key, only=own, insert=False, metadata=metadata)
