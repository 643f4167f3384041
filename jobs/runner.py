"""run(definition): the new rows of a source, scored into the sink, each exactly once. Runs on the driver.

The source is a stream (``jobs.stream``); each of its micro-batches is one commit under the job's transaction id
(``jobs.commits``), so that a run may die anywhere and the next one goes on.
"""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING

from jobs import causes, changes, epochs, feed, letters, limits, pace, stopping, stream, tables, trial
from jobs.batches import files
from jobs.commits import Commits, Totals
from jobs.errors import LimitReachedError, TooManyFailedRowsError
from jobs.lease import Lease
from jobs.pending import pending
from jobs.progress import Progress
from jobs.provenance import Provenance
from jobs.references import mask
from jobs.resolved import Resolved, resolve
from jobs.spread import most_tasks
from jobs.storage import Folder, job_folder
from jobs.summary import Planned, Summary

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.definition import JobDefinition
    from jobs.sections import Place

log = logging.getLogger("embercast")


def run(
    definition: JobDefinition, *, spark: SparkSession, accept_schema: bool = False, stop: Event | None = None
) -> Summary:
    """Scores what is new in the source since the job's last run; with a ``trigger``, what comes from now on, too.

    Args:
        definition: the job.
        spark: with Delta (``jobs.session``).
        accept_schema: go on although the source's schema changed since the last run.
        stop: ends a run that has a ``trigger``, as SIGINT and SIGTERM do, after the commit under way.

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
    with causes.told(definition), Lease(folder, run_id) as lease:
        found = epochs.begin(spark, definition, folder, Provenance.of(resolved.model))
        place = epochs.target(definition, folder, found)
        count = pending(spark, definition, place, folder, found.scoring.checkpoint).new
        planned = expected(spark, resolved, folder, count)
        lease.rows = planned.rows
        resolved = replace(resolved, most_tasks=most_tasks(planned, resolved.slots))
        _check_source(spark, folder, definition, source, found.scoring.checkpoint, place, accept=accept_schema)
        limits.check(definition, planned)
        if found.following is not None:
            tables.create(spark, place, resolved.sink_schema)
        with Progress(None if definition.trigger else planned.rows) as progress:
            watch = limits.Watch(definition, planned, start)
            commits = Commits(resolved, run_id, found.scoring, place, folder, lease, progress.committed, watch)
            reason, source_version = _scored(spark, source, commits, folder, found, stop or Event())
        pace.ran(folder, resolved, commits.totals.stats)
        letters.note(spark, definition, folder)
    summary = summary_of(resolved, run_id, commits.totals, source_version, planned, time.monotonic() - start)
    if isinstance(reason, LimitReachedError):
        raise LimitReachedError(str(reason), summary)
    if reason is not None and found.following is not None:  # its rows are not all of this run
        raise TooManyFailedRowsError(str(reason), summary)
    return ended(definition, summary, early=reason is not None)


def _scored(
    spark: SparkSession, source: DataFrame, commits: Commits, folder: Folder, found: epochs.Epochs, stop: Event
) -> tuple[Exception | None, int | None]:
    """Why the run had to end before its last row, if it had; and the version of the source that it read up to."""
    definition, beside, version = commits.definition, found.following is not None, None
    try:
        if beside or definition.trigger is None:
            version = stream.drain(source, commits, folder)
        if beside:
            commits.lease.check()
            commits.totals.sink_version = epochs.swap(spark, definition, found, folder, commits.metadata())
            beside = False
        if definition.trigger is not None:
            version = _follow(spark, source, commits, folder, definition.trigger.every, stop)
    except (LimitReachedError, TooManyFailedRowsError) as error:
        if beside:
            commits.totals.sink_version = None  # its rows lie beside the sink, whose version is as it was
        return error, None
    files.write(spark, commits.resolved, folder, commits.lease)
    return None, version


def _follow(
    spark: SparkSession, source: DataFrame, commits: Commits, folder: Folder, every: str, stop: Event
) -> int | None:
    """Goes on with what comes, into the sink itself."""
    definition = commits.definition

    def committed(totals: Totals) -> None:
        commits.progress(totals)
        letters.note(spark, definition, folder)

    going_on = replace(commits, place=definition.sink.delta, progress=committed)
    with stopping.on_signals(stop):
        return stream.follow(source, going_on, folder, every=every, stop=stop)


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


def expected(spark: SparkSession, resolved: Resolved, folder: Folder, rows: int) -> Planned:
    """What the run should take: by the pace of those before it, or by a trial."""
    if not rows:
        return trial.expect(0, trial.NONE, resolved.slots)
    found = pace.known(folder, resolved)
    if found is None:
        found = pace.tried(spark, resolved)
        pace.keep(folder, resolved, found)
    return found.of(rows, resolved.slots)


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
    changes.check_progress(spark, folder, checkpoint, place, definition)
    if not accept:
        changes.check_schema(folder, source.schema, definition)
    changes.remember_schema(folder, source.schema, accept=accept)
    changes.check_files(spark, folder, checkpoint, definition)


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
        course=tuple(totals.course.steps),
        failed_where=f"_run_id = '{run_id}' AND {definition.sink.output}.error.code IS NOT NULL",
        planned=planned,
        **spent,
    )
