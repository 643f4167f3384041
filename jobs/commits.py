"""One micro-batch of the stream → one Delta commit, however often it is tried. Runs on the driver."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from engine.stats import Stats
from jobs import parsing, seeds
from jobs.batches import FORMAT
from jobs.batches.requests import REFUSED
from jobs.batches.source import told
from jobs.errors import RunError
from jobs.references import mask, reveal
from jobs.resolved import Resolved
from jobs.tables import new_rows, sink_columns
from udfs.scoring import score

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.definition import JobDefinition
    from jobs.lease import Lease
    from jobs.limits import Watch

log = logging.getLogger("embercast")

_STATS: Final = "_stats"
#: Commits of the sink that are looked at: after a write there may be some of others (OPTIMIZE, another job) on top of
#: ours, and after a crash as many as came since.
_JUST_NOW: Final = 20
_FAR_BACK: Final = 1000


@dataclass
class Totals:
    """What this run committed so far; ``stats`` sums those of all windows."""

    commits: int = 0
    sink_version: int | None = None
    stats: Stats = field(default_factory=Stats)

    def add(self, version: int, counted: Mapping[str, Any]) -> None:
        """Adds one commit."""
        self.commits += 1
        self.sink_version = version
        for name, value in counted.items():
            setattr(self.stats, name, getattr(self.stats, name) + (value or 0))


@dataclass
class Commits:
    """What ``foreachBatch`` calls: scores a micro-batch and appends it under the job's transaction id.

    Args:
        resolved: the job.
        run_id: of this run.
        location: of the sink.
        lease: looked at before each commit.
        progress: called after each commit with the totals.
        watch: asked before each commit whether the run may go on.
    """

    resolved: Resolved
    run_id: str
    location: str
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
        self.watch.check(self.totals)
        rows = new_rows(batch, self.definition)
        if rows is batch:
            self._write(rows, batch_id)
            return
        rows.persist()  # a conversation is put together once
        try:
            self._write(rows, batch_id)
        finally:
            rows.unpersist()

    def _write(self, batch: DataFrame, batch_id: int) -> None:
        if batch.isEmpty():  # an empty append would use up the transaction id
            return
        scored, counts = self._score(batch)
        self._append(scored, batch_id)
        version = self._version_of(batch.sparkSession, batch_id, _JUST_NOW)
        if version is None:
            raise RunError(
                f"expected batch {batch_id} of run {self.run_id} in the sink, Delta left it out: its transaction id is "
                f"used up. Was _embercast in {self.definition.sink.shown} changed? Run the job under another name"
            )
        self.totals.add(version, counts.get)
        self.progress(self.totals)

    def _score(self, batch: DataFrame) -> tuple[DataFrame, Any]:
        """Sink rows, and the observation that counts them as they are written."""
        from pyspark.sql import Observation
        from pyspark.sql import functions as f

        sink = self.definition.sink
        model = self.resolved.model
        refused = [REFUSED] if self.definition.source.format == FORMAT else []
        names = dict.fromkeys([*sink_columns(self.definition), *self.resolved.columns, *refused])
        rows = seeds.add(_spread(batch, self.resolved.slots).select(*names), model, self.definition.source.row_key)
        scored = score(rows, model=model, input=self.resolved.inputs, output=sink.output, stats=_STATS)
        counts = Observation()
        counted = {of.name: f.sum(f"{_STATS}.{of.name}") for of in fields(Stats)}
        if refused:  # the engine saw no input in them
            counted["failed"] += f.count(REFUSED)
            counted["nulls"] -= f.count(REFUSED)
            scored = told(scored, sink.output)
        sums = [column.alias(name) for name, column in counted.items()]
        provenance = [
            f.lit(self.run_id).alias("_run_id"),
            f.lit(model.ref.version or model.bundle.digest[:12]).alias("_model_version"),
            f.lit(model.dtype.value).alias("_dtype"),
            f.current_timestamp().alias("_scored_at"),
        ]
        observed = scored.observe(counts, *sums)
        parsed = parsing.columns(sink, observed, model.params)
        return observed.select(*sink_columns(self.definition), sink.output, *parsed, *provenance), counts

    def _append(self, scored: DataFrame, batch_id: int) -> None:
        writer = scored.write.format("delta").mode("append")
        writer = writer.option("txnAppId", f"embercast-{self.definition.identity}").option("txnVersion", batch_id)
        writer = writer.option("userMetadata", json.dumps(self._metadata(batch_id)))
        if self.definition.sink.table is None:
            writer.save(self.location)
        else:
            writer.saveAsTable(reveal(self.definition.sink.table))

    def _metadata(self, batch_id: int) -> dict[str, Any]:
        model = self.resolved.model
        return {
            "job": self.definition.name,
            "identity": self.definition.identity,
            "batch": batch_id,
            "run": self.run_id,
            "model": mask(model.ref.pinned),
            "digest": model.bundle.digest,
            "dtype": model.dtype.value,
        }

    def _version_of(self, spark: SparkSession, batch_id: int, look_back: int) -> int | None:
        """The sink's version that holds a batch of this job, None where none of the last ``look_back`` does."""
        from delta.tables import DeltaTable

        sink = self.definition.sink
        table = (
            DeltaTable.forPath(spark, self.location)
            if sink.table is None
            else DeltaTable.forName(spark, reveal(sink.table))
        )
        for row in table.history(look_back).select("version", "userMetadata").collect():
            told = _told(row["userMetadata"])
            if (told.get("identity"), told.get("batch")) == (self.definition.identity, batch_id):
                return int(row["version"])
        return None


def _spread(batch: DataFrame, slots: int) -> DataFrame:
    # A small source may lie in one file: one worker would score while the others wait.
    return batch if batch.rdd.getNumPartitions() >= slots else batch.repartition(slots)


def _told(metadata: str | None) -> dict[str, Any]:
    try:
        told = json.loads(metadata or "{}")
    except ValueError:  # somebody else's commit
        return {}
    return told if isinstance(told, dict) else {}
