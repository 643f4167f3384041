"""One micro-batch of the stream → one Delta commit, however often it is tried. Runs on the driver."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from engine.stats import Stats
from jobs import feed, merging
from jobs.course import SPREAD, Course, Step
from jobs.errors import RunError
from jobs.resolved import Resolved
from jobs.scoring import sink_rows
from jobs.tables import new_rows
from jobs.told import JUST_NOW, commits, told_of
from jobs.writes import save

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.definition import JobDefinition
    from jobs.epochs import Epoch
    from jobs.lease import Lease
    from jobs.limits import Watch
    from jobs.sections import Place
    from jobs.storage import Folder

log = logging.getLogger("embercast")

#: Commits of the sink that are looked at after a crash: as many may have come since.
_FAR_BACK: Final = 1000


@dataclass
class Totals:
    """What this run committed so far; ``stats`` sums those of all windows, ``start`` is when scoring began."""

    commits: int = 0
    sink_version: int | None = None
    stats: Stats = field(default_factory=Stats)
    course: Course = field(default_factory=Course)
    start: float = field(default_factory=time.monotonic)

    def add(self, version: int, counted: Mapping[str, Any]) -> None:
        """Adds one commit; ``counted`` is what was observed of it (``jobs.scoring``)."""
        self.commits += 1
        self.sink_version = version
        for of in fields(Stats):
            setattr(self.stats, of.name, getattr(self.stats, of.name) + (counted.get(of.name) or 0))
        step = Step(seconds=time.monotonic() - self.start, rows=self.stats.rows, failed=self.stats.failed)
        self.course.add(replace(step, **{name: counted.get(name) or 0 for name in SPREAD}))


@dataclass
class Commits:
    """What ``foreachBatch`` calls: scores a micro-batch and appends it under the job's transaction id.

    Args:
        resolved: the job.
        run_id: of this run.
        epoch: that is being scored.
        place: where its rows go: the sink, or a table beside it.
        folder: the job's.
        lease: looked at before each commit.
        progress: called after each commit with the totals.
        watch: asked before each commit whether the run may go on.
    """

    resolved: Resolved
    run_id: str
    epoch: Epoch
    place: Place
    folder: Folder
    lease: Lease
    progress: Callable[[Totals], None]
    watch: Watch
    totals: Totals = field(default_factory=Totals)
    failure: Exception | None = None
    _first: bool = True

    @property
    def definition(self) -> JobDefinition:
        return self.resolved.definition

    def __call__(self, batch: DataFrame, batch_id: int) -> None:
        """Runs on the driver in a thread of the stream, whose own error would hide ours: it is kept in ``failure``."""
        try:
            self._commit(batch, batch_id)
        except Exception as error:
            self.failure = error
            raise

    def _commit(self, batch: DataFrame, batch_id: int) -> None:
        self.lease.check()
        replayed = self._first and self._version_of(batch.sparkSession, batch_id, _FAR_BACK) is not None
        self._first = False
        if replayed:  # written by a run that died before it noted so
            log.info("batch %d is in the sink already: not scored again", batch_id)
            return
        rows = self._new(batch)
        if self.definition.source.fold is None:
            self._write(rows, batch_id)
            return
        rows.persist()  # a conversation is put together once
        try:
            self._write(rows, batch_id)
        finally:
            rows.unpersist()

    def _new(self, batch: DataFrame) -> DataFrame:
        """What a micro-batch brings to score, and which rows went."""
        source = self.definition.source
        if source.changes == "rescore":
            return feed.latest(batch, source)
        return feed.came(batch) if source.fed else new_rows(batch, self.definition, self.place)

    def _write(self, batch: DataFrame, batch_id: int) -> None:
        if batch.isEmpty():  # an empty append would use up the transaction id
            return
        self.watch.check(self.totals)
        counts = self._merge(batch, batch_id) if self.definition.merges else self._append(batch, batch_id)
        version = self._version_of(batch.sparkSession, batch_id, JUST_NOW)
        if version is None:
            raise RunError(
                f"expected batch {batch_id} of run {self.run_id} in the sink, Delta left it out: its transaction id is "
                f"used up. Was _embercast in {self.definition.sink.shown} changed? Run the job under another name"
            )
        self.totals.add(version, counts.get)
        self.progress(self.totals)

    def _append(self, batch: DataFrame, batch_id: int) -> Any:
        scored, counts = sink_rows(batch, self.resolved, self.run_id)
        writer = scored.write.format("delta").mode("append")
        writer = writer.option("txnAppId", self.epoch.transaction(self.definition)).option("txnVersion", batch_id)
        writer = writer.option("userMetadata", self._told_of(batch_id))
        save(writer, self.place)
        return counts

    def _merge(self, batch: DataFrame, batch_id: int) -> Any:
        """By key: rows that came or changed are scored, those that went take theirs out of the sink."""
        from pyspark.sql import functions as f

        key = self.definition.source.row_key
        followed = merging.GONE in batch.columns
        there = batch.where(f"NOT {merging.GONE}") if followed else batch
        scored, counts = sink_rows(there, self.resolved, self.run_id)
        if followed:
            gone = batch.where(merging.GONE).select(*key, merging.GONE)
            scored = scored.withColumn(merging.GONE, f.lit(False)).unionByName(gone, allowMissingColumns=True)
        merging.stage(scored, self.folder)
        self.lease.check()
        merge = merging.Merge(
            key=key,
            only=f"sink.{self.definition.own}",
            insert=True,
            metadata=self._told_of(batch_id),
            transaction=(self.epoch.transaction(self.definition), batch_id),
        )
        merge(batch.sparkSession, self.place, self.folder)
        return counts

    def _told_of(self, batch_id: int) -> str:
        return json.dumps({**self.metadata(), "epoch": self.epoch.number, "batch": batch_id})

    def metadata(self) -> dict[str, Any]:
        """What a commit says of the run that made it."""
        return told_of(self.resolved, self.run_id)

    def _version_of(self, spark: SparkSession, batch_id: int, look_back: int) -> int | None:
        """The version that holds a batch of this epoch, None where none of the last ``look_back`` does."""
        for commit in commits(spark, self.definition, self.place, latest=look_back):
            if (commit.told.get("epoch", 0), commit.told.get("batch")) == (self.epoch.number, batch_id):
                return commit.version
        return None


def version_of_run(spark: SparkSession, definition: JobDefinition, run_id: str) -> int:
    """The sink's version that a run made. Raises RunError where it made none."""
    for commit in commits(spark, definition, definition.sink.delta, latest=JUST_NOW):
        if commit.told["run"] == run_id:
            return commit.version
    raise RunError(f"expected a commit of run {run_id} in {definition.sink.shown}, there is none: run it again")
