"""retry(definition): the rows whose error a retry can help, scored again and put in their place. Runs on the driver.

They are scored into a table beside the sink and merged into it by key in one commit: a reader finds the row that failed
or the one that was scored again, never both or neither.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from jobs import limits, tables, trial
from jobs.commits import Totals
from jobs.epochs import Epochs
from jobs.errors import RunError
from jobs.lease import Lease
from jobs.resolved import Resolved, resolve
from jobs.runner import new_run_id, summary_of
from jobs.scoring import sink_rows, told_of
from jobs.storage import Folder, job_folder
from jobs.summary import Summary

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.definition import JobDefinition

log = logging.getLogger("embercast")

_STAGED: Final = "retry"
#: MERGE takes a commit's metadata from the session alone.
_METADATA: Final = "spark.databricks.delta.commitInfo.userMetadata"


def retry(definition: JobDefinition, *, spark: SparkSession) -> Summary:
    """Scores the rows of the sink again whose error says that a retry can help, as they are in the source now.

    Args:
        definition: the job.
        spark: with Delta (``jobs.session``).

    Rows that are gone from the source keep their error. Raises what ``jobs.runner.run`` does, and RunError where a
    rescore is under way, or where several rows of the source have the key of one that failed.
    """
    start = time.monotonic()
    run_id = new_run_id(definition)
    resolved = resolve(spark, definition)
    folder = _folder(spark, definition)
    with Lease(folder, run_id) as lease:
        rows = _failed(spark, definition)
        count = rows.count()
        planned = trial.expect(count, trial.try_out(spark, trial.take(spark, resolved)), resolved.slots)
        limits.check(definition, planned)
        lease.rows = count
        totals = Totals()
        if count:
            counts = _stage(rows, resolved, run_id, folder)
            lease.check()
            totals.add(_merge(spark, resolved, run_id, folder), counts.get)
            folder.delete(_STAGED)
    return summary_of(resolved, run_id, totals, None, planned, time.monotonic() - start)


def _folder(spark: SparkSession, definition: JobDefinition) -> Folder:
    if not tables.sink_exists(spark, definition):
        raise RunError(f"expected rows in {definition.sink.shown}, there is no sink yet: run the job first")
    folder = job_folder(spark, definition, tables.location_of(spark, definition.sink.delta))
    if Epochs.read(folder).following is not None:
        raise RunError("a rescore of this job is under way, which scores the failed rows too: run the job to its end")
    return folder


def _failed(spark: SparkSession, definition: JobDefinition) -> DataFrame:
    """The rows of the source, as they are now, whose row in the sink may be retried."""
    found = tables.own_rows(spark, definition)
    assert found is not None
    key = definition.source.row_key
    keys = found.where(f"{definition.sink.output}.error.retryable").select(*key).distinct()
    return tables.read_source(spark, definition).join(keys, key, "left_semi")


def _stage(rows: DataFrame, resolved: Resolved, run_id: str, folder: Folder) -> Any:
    """Scores the rows into the table beside the sink. Returns what counts them."""
    scored, counts = sink_rows(rows, resolved, run_id)
    folder.delete(_STAGED)  # of a run that died
    scored.write.format("delta").save(folder.path(_STAGED))
    return counts


def _merge(spark: SparkSession, resolved: Resolved, run_id: str, folder: Folder) -> int:
    """Puts the staged rows in the place of those that failed. Returns the sink's version."""
    definition = resolved.definition
    staged = spark.read.format("delta").load(folder.path(_STAGED))
    key = definition.source.row_key
    doubles = staged.groupBy(*key).count().where("count > 1").count()
    if doubles:
        raise RunError(
            f"expected one row for each key, {doubles:,} keys of failed rows have several in "
            f"{definition.source.shown}: nothing was replaced. `embercast plan --check-keys` counts them"
        )
    table = tables.delta_table(spark, definition.sink.delta)
    same = " AND ".join(f"sink.`{name}` <=> again.`{name}`" for name in key)
    own = f"sink._run_id LIKE '{definition.identity}-%' AND sink.`{definition.sink.output}`.error.retryable"
    with _told(spark, json.dumps(told_of(resolved, run_id))):
        table.alias("sink").merge(staged.alias("again"), f"{same} AND {own}").whenMatchedUpdateAll().execute()
    for row in table.history(_JUST_NOW).select("version", "userMetadata").collect():
        if f'"{run_id}"' in (row["userMetadata"] or ""):
            return int(row["version"])
    raise RunError(f"expected a commit of run {run_id} in {definition.sink.shown}, there is none: run it again")


#: Commits of the sink that are looked at: there may be some of others on top of ours.
_JUST_NOW: Final = 20


@contextmanager
def _told(spark: SparkSession, metadata: str) -> Iterator[None]:
    before = spark.conf.get(_METADATA, None)
    spark.conf.set(_METADATA, metadata)
    try:
        yield
    finally:
        if before is None:
            spark.conf.unset(_METADATA)
        else:
            spark.conf.set(_METADATA, before)
