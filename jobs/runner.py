"""run(definition): the new rows of a source, scored into the sink, each exactly once. Runs on the driver.

The source is a stream that ends with what there is now (``availableNow``); each of its micro-batches is one commit
under the job's transaction id (``jobs.commits``), so that a run may die anywhere and the next one goes on.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jobs import changes, epochs, feed, letters, limits, tables, trial
from jobs.batches import files
from jobs.commits import Commits, Totals
from jobs.errors import LimitReachedError, RunError, TooManyFailedRowsError
from jobs.lease import Lease
from jobs.pending import pending
from jobs.progress import Progress
from jobs.provenance import Provenance
from jobs.references import mask
from jobs.resolved import Resolved, resolve
from jobs.storage import Folder, job_folder
from jobs.summary import Planned, Summary

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.definition import JobDefinition
    from jobs.sections import Place

log = logging.getLogger("embercast")


def run(definition: JobDefinition, *, spark: SparkSession, accept_schema: bool = False) -> Summary:
    """Scores what is new in the source since the job's last run.

    Args:
        definition: the job.
        spark: with Delta (``jobs.session``).
        accept_schema: go on although the source's schema changed since the last run.

    Raises ModelError, SchemaError, ParameterError or DeviceError before a row is read; SourceChangedError,
    LeaseHeldError or RunError where the run fails; TooManyFailedRowsError, with the summary, where more rows failed
    than ``errors.max_fraction`` allows; LimitReachedError where ``limits`` refuse the run or, with the summary, end it.
    """
    if definition.sink.mode == "replace_where":
        from jobs.backfill import backfill

        return backfill(definition, spark=spark)
    start = time.monotonic()
    run_id = new_run_id(definition)
    resolved = resolve(spark, definition)
    feed.check(spark, definition)
    source = tables.stream_source(spark, definition)
    location = tables.create(spark, definition.sink.delta, resolved.sink_schema)
    folder = job_folder(spark, definition, location)
    with Lease(folder, run_id) as lease:
        found = epochs.begin(spark, definition, folder, Provenance.of(resolved.model))
        place = epochs.target(definition, folder, found)
        planned = expected(spark, resolved, pending(spark, definition, place, folder, found.scoring.checkpoint).new)
        lease.rows = planned.rows
        _check_source(spark, folder, definition, source, found.scoring.checkpoint, place, accept=accept_schema)
        limits.check(definition, planned)
        if found.following is not None:
            tables.create(spark, place, resolved.sink_schema)
        with Progress(planned.rows) as progress:
            watch = limits.Watch(definition, planned, start)
            commits = Commits(resolved, run_id, found.scoring, place, folder, lease, progress.committed, watch)
            reason, source_version = _scored(spark, source, commits, folder, found)
        letters.note(spark, definition, folder)
    summary = summary_of(resolved, run_id, commits.totals, source_version, planned, time.monotonic() - start)
    if isinstance(reason, LimitReachedError):
        raise LimitReachedError(str(reason), summary)
    if reason is not None and found.following is not None:  # its rows are not all of this run
        raise TooManyFailedRowsError(str(reason), summary)
    return ended(definition, summary, early=reason is not None)


def _scored(
    spark: SparkSession, source: DataFrame, commits: Commits, folder: Folder, found: epochs.Epochs
) -> tuple[Exception | None, int | None]:
    """Why the run had to end before its last row, if it had; and the version of the source that it read up to."""
    try:
        source_version = _stream(source, commits, folder)
        if found.following is not None:
            commits.lease.check()
            version = epochs.swap(spark, commits.definition, found, folder, commits.metadata())
            commits.totals.sink_version = version
    except (LimitReachedError, TooManyFailedRowsError) as error:
        if found.following is not None:
            commits.totals.sink_version = None  # its rows lie beside the sink, whose version is as it was
        return error, None
    files.write(spark, commits.resolved, folder, commits.lease)
    return None, source_version


def ended(definition: JobDefinition, summary: Summary, *, early: bool = False) -> Summary:
    """The summary. Raises TooManyFailedRowsError with it where more rows failed than are allowed."""
    if summary.failed_fraction > definition.errors.max_fraction:
        raise TooManyFailedRowsError(_too_many(definition, summary, early=early), summary)
    return summary


def new_run_id(definition: JobDefinition) -> str:
    """The job's identity, the time in UTC and a few digits by chance."""
    return f"{definition.identity}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def _too_many(definition: JobDefinition, summary: Summary, *, early: bool) -> str:
    rest = " The run was ended early, since the rows that are left could not make up for it." if early else ""
    return (
        f"{summary.failed:,} of {summary.rows:,} rows failed ({summary.failed_fraction:.2%}), errors.max_fraction "
        f"allows {definition.errors.max_fraction:.2%}.{rest} What was scored is kept; the failed rows are those of "
        f"{definition.sink.delta.shown} where {summary.failed_where}"
    )


def expected(spark: SparkSession, resolved: Resolved, rows: int) -> Planned:
    """What the run should take; the trial's worker has the model loaded when the run begins."""
    if not rows:
        return trial.expect(0, trial.NONE, resolved.slots)
    taken = trial.take(spark, resolved)
    return trial.expect(rows, trial.try_out(spark, taken), resolved.slots, taken.lengths)


def _check_source(
    spark: SparkSession,
    folder: Folder,
    definition: JobDefinition,
    source: DataFrame,
    checkpoint: str,
    place: Place,
    *,
    accept: bool,
) -> None:
    changes.check_progress(folder, checkpoint, tables.scored_rows(spark, definition, place), definition)
    if not accept:
        changes.check_schema(folder, source.schema, definition)
    changes.remember_schema(folder, source.schema, accept=accept)
    changes.check_files(spark, folder, checkpoint, definition)


def _stream(source: DataFrame, commits: Commits, folder: Folder) -> int | None:
    """Runs the stream to its end. Returns the Delta version of the source that it read up to."""
    from pyspark.errors import StreamingQueryException

    writer = source.writeStream.foreachBatch(commits).trigger(availableNow=True)
    query = writer.option("checkpointLocation", folder.path(commits.epoch.checkpoint)).start()
    try:
        query.awaitTermination()
    except StreamingQueryException as error:
        if commits.failure is not None:
            raise commits.failure from None
        changed = changes.source_changed(error, commits.resolved.definition)
        raise changed or RunError(f"the stream of {commits.resolved.definition.source.shown} ended: {error}") from error
    finally:
        query.stop()
    return _version(query.lastProgress)


def _version(progress: Any) -> int | None:
    """The last whole version of a Delta source in a stream's progress; None for files and where nothing was read."""
    offset = (progress or {"sources": [{}]})["sources"][0].get("endOffset")
    offset = json.loads(offset) if isinstance(offset, str) else offset
    if not isinstance(offset, dict) or "reservoirVersion" not in offset:
        return None
    return int(offset["reservoirVersion"]) - (1 if int(offset["index"]) < 0 else 0)


def summary_of(
    resolved: Resolved, run_id: str, totals: Totals, source_version: int | None, planned: Planned, seconds: float
) -> Summary:
    """What a run did, ``seconds`` after it began."""
    definition, model = resolved.definition, resolved.model
    counted = asdict(totals.stats)
    spent = {name: counted[name] for name in counted if name not in ("nulls", "batches")}
    return Summary(
        job=definition.name,
        identity=definition.identity,
        run_id=run_id,
        model=mask(model.ref.pinned),
        version=model.ref.version,
        digest=model.bundle.digest,
        task=model.task,
        dtype=model.dtype.value,
        device=model.device.value,
        source=definition.source.shown,
        sink=definition.sink.shown,
        source_version=source_version,
        sink_version=totals.sink_version,
        commits=totals.commits,
        skipped=totals.stats.nulls,
        seconds=seconds,
        price=limits.price(definition, seconds),
        planned_price=limits.price(definition, planned.seconds),
        failed_where=f"_run_id = '{run_id}' AND {definition.sink.output}.error.code IS NOT NULL",
        planned=planned,
        **spent,
    )
