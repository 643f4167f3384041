"""What a job's runs did, which one is under way, and which rows failed: read from the sink. Runs on the driver.

Every commit of a run names it, with the model (``jobs.commits``); Delta keeps that for as long as the sink's log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from engine.errors import SchemaError
from jobs import tables
from jobs.epochs import Epochs, target
from jobs.lease import alive, holder_of
from jobs.storage import job_folder
from jobs.summary import duration, rate
from jobs.told import commits

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from rich.table import Table

    from jobs.definition import JobDefinition
    from jobs.sections import Place

#: Keys that are shown of each code.
_KEYS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run, as its commits tell of it.

    Args:
        run_id: of the run; model, dtype: what scored.
        first, last: when its first and last commit were made; versions: of the sink, the first and the last.
        commits, rows, failed: how many.
    """

    run_id: str
    model: str
    dtype: str
    first: datetime
    last: datetime
    versions: tuple[int, int]
    commits: int
    rows: int
    failed: int


@dataclass(frozen=True)
class History:
    """The runs of a job whose commits the sink's log still has, the latest first."""

    job: str
    runs: tuple[Run, ...]

    def __rich__(self) -> Table:
        from rich.table import Table

        shown = Table("run", "last commit", "model", "dtype", "versions", "rows", "failed", title=self.job)
        for run in self.runs:
            first, last = run.versions
            versions = str(first) if first == last else f"{first}–{last}"
            numbers = f"{run.rows:,}", f"{run.failed:,}"
            shown.add_row(run.run_id, f"{run.last:%Y-%m-%d %H:%M:%S}", run.model, run.dtype, versions, *numbers)
        return shown


@dataclass(frozen=True)
class Failures:
    """The failed rows of a job by code: how many, whether a retry can help, and the first keys."""

    job: str
    key: tuple[str, ...]
    codes: Mapping[str, tuple[int, bool, tuple[tuple[Any, ...], ...]]]

    def __rich__(self) -> Table:
        from rich.table import Table

        shown = Table("code", "rows", "a retry", f"{', '.join(self.key)} of the first", title=self.job)
        for code, (count, retryable, keys) in self.codes.items():
            told = "; ".join(", ".join(map(str, one)) for one in keys)
            shown.add_row(code, f"{count:,}", "may help" if retryable else "does not help", told)
        return shown


@dataclass(frozen=True, kw_only=True)
class Status:
    """The run of a job that is under way; ``run_id`` is None where none is.

    Args:
        host: of its driver; seconds: since it began; rows: it is to score; done: of these, in the sink.
    """

    job: str
    run_id: str | None = None
    host: str = ""
    seconds: float = 0.0
    rows: int | None = None
    done: int = 0

    def __str__(self) -> str:
        if self.run_id is None:
            return f"{self.job}: no run is under way"
        of = "" if self.rows is None else f" of {self.rows:,}"
        speed = self.done / self.seconds if self.seconds else 0.0
        left = ""
        if self.rows is not None and speed:
            left = f", {duration(max(0, self.rows - self.done) / speed)} left"
        began = f"for {duration(self.seconds)} on {self.host}"
        return f"{self.job}: {self.run_id} is under way {began}: {self.done:,}{of} rows, {rate(speed)} rows/s{left}"


def history(spark: SparkSession, definition: JobDefinition) -> History:
    """The runs of a job. Failed rows are counted in the sink, the rest is in its log.

    Raises SchemaError where there is no sink yet.
    """
    failed = _failed_by_run(_own_rows(spark, definition), definition)
    runs: dict[str, Run] = {}
    for one in _commits(spark, definition, definition.sink.delta):
        runs[one.run_id] = one if one.run_id not in runs else _joined(one, runs[one.run_id])
    counted = (replace(run, failed=failed.get(run.run_id, 0)) for run in runs.values())
    return History(definition.name, tuple(sorted(counted, key=lambda run: run.last, reverse=True)))


def failures(spark: SparkSession, definition: JobDefinition) -> Failures:
    """The failed rows of a job. Raises SchemaError where there is no sink yet."""
    from pyspark.sql import functions as f

    error, key = f"{definition.sink.output}.error", definition.source.row_key
    failed = _own_rows(spark, definition).where(f"{error}.code IS NOT NULL")
    by_code = failed.groupBy(f.col(f"{error}.code"), f.col(f"{error}.retryable")).count()
    codes = {}
    for code, retryable, count in sorted(by_code.collect(), key=lambda row: (-row[2], row[0])):
        first = failed.where(f.col(f"{error}.code") == code).select(*key).orderBy(*key).limit(_KEYS).collect()
        codes[code] = (count, retryable, tuple(tuple(row) for row in first))
    return Failures(definition.name, tuple(key), codes)


def status(spark: SparkSession, definition: JobDefinition) -> Status:
    """The run that is under way. Raises SchemaError where there is no sink yet."""
    _own_rows(spark, definition)
    folder = job_folder(spark, definition, tables.location_of(spark, definition.sink.delta))
    holder = holder_of(folder)
    if holder is None or not alive(holder):
        return Status(job=definition.name)
    place = target(definition, folder, Epochs.read(folder))
    begun = tables.own_rows(spark, definition, place) is not None
    made = _commits(spark, definition, place) if begun else ()
    done = sum(one.rows for one in made if one.run_id == holder["run"])
    seconds = time.time() - holder["began"]
    shown = {"host": holder["host"], "rows": holder["rows"], "seconds": seconds}
    return Status(job=definition.name, run_id=holder["run"], done=done, **shown)


def _own_rows(spark: SparkSession, definition: JobDefinition) -> DataFrame:
    found = tables.own_rows(spark, definition)
    if found is None:
        raise SchemaError(f"expected rows in {definition.sink.shown}, there is no sink yet: `embercast run` makes it")
    return found


def _commits(spark: SparkSession, definition: JobDefinition, place: Place) -> Iterator[Run]:
    """A run of one commit for each commit of this job into ``place``, the latest first."""
    for one in commits(spark, definition, place):
        told, at = one.told, one.at
        yield Run(
            run_id=told["run"],
            model=told["model"],
            dtype=told["dtype"],
            first=at,
            last=at,
            versions=(one.version, one.version),
            commits=1,
            rows=_written(one.metrics),
            failed=0,
        )


def _written(metrics: Mapping[str, str]) -> int:
    """Rows of ours in a commit; what a MERGE writes holds others that it copied."""
    if "numTargetRowsInserted" in metrics:
        return int(metrics["numTargetRowsInserted"]) + int(metrics["numTargetRowsUpdated"])
    return int(metrics.get("numOutputRows", 0))


def _joined(one: Run, other: Run) -> Run:
    return replace(
        one,
        first=min(one.first, other.first),
        last=max(one.last, other.last),
        versions=(min(one.versions[0], other.versions[0]), max(one.versions[1], other.versions[1])),
        commits=one.commits + other.commits,
        rows=one.rows + other.rows,
    )


def _failed_by_run(rows: DataFrame, definition: JobDefinition) -> dict[str, int]:
    failed = rows.where(f"{definition.sink.output}.error.code IS NOT NULL")
    return {row["_run_id"]: int(row["count"]) for row in failed.groupBy("_run_id").count().collect()}
