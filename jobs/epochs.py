"""A job's epochs: each scores the whole source once; what is known of them lies in its folder. Runs on the driver.

state.json        which epoch the sink holds, by what it was scored, and which one is being scored beside it
checkpoint[-N]    how far the stream of epoch N is
epoch-N           the rows of epoch N until they take the place of those before
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from jobs.errors import RunError, TooManyFailedRowsError
from jobs.provenance import Provenance
from jobs.sections import Place
from jobs.storage import Folder
from jobs.tables import has_rows, read
from jobs.told import commits
from jobs.writes import overwrite

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition

FILE: Final = "state.json"
_OWN: Final = re.compile(r"checkpoint(-\d+)?|epoch-\d+")


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One scoring of the whole source.

    Args:
        number: 0 is the first.
        provenance: by what it is scored; None of a job whose last run was by a release that wrote none down.
    """

    number: int = 0
    provenance: Provenance | None = None

    @property
    def checkpoint(self) -> str:
        """The stream's folder within the job's."""
        return f"checkpoint-{self.number}" if self.number else "checkpoint"

    @property
    def staged(self) -> str:
        """The folder of its rows within the job's, until they are in the sink."""
        return f"epoch-{self.number}"

    def transaction(self, definition: JobDefinition) -> str:
        """Delta's transaction id of its appends."""
        return f"embercast-{definition.identity}" + (f"-{self.number}" if self.number else "")


@dataclass(frozen=True, kw_only=True)
class Epochs:
    """The epoch that the sink holds, and the one that is being scored beside it, if any."""

    current: Epoch
    following: Epoch | None = None

    @property
    def scoring(self) -> Epoch:
        """The epoch that a run adds rows to."""
        return self.following or self.current

    @classmethod
    def read(cls, folder: Folder) -> Epochs:
        """As the job's folder says; the first epoch where it says nothing."""
        if not folder.exists(FILE):
            return cls(current=Epoch())
        told = json.loads(folder.read(FILE))
        following = told["following"]
        return cls(current=_epoch(told["current"]), following=None if following is None else _epoch(following))

    def write(self, folder: Folder) -> None:
        """Writes them down, so that a reader sees all of it or what was there before."""
        following = None if self.following is None else _told(self.following)
        folder.write(FILE, json.dumps({"current": _told(self.current), "following": following}))

    def next(self, now: Provenance, on_change: str, *, scored: Callable[[], bool]) -> Epochs:
        """What a run has to score, now that this would score it.

        Args:
            now: what would score.
            on_change: of the definition.
            scored: whether the sink has rows of the job; asked where something changed.

        Raises RunError where something changed and ``on_change`` is fail.
        """
        reasons = changes(self, now)
        rescores = bool(reasons) and on_change != "new_rows" and scored()
        if rescores and on_change == "fail":
            raise RunError(
                f"{'; '.join(reasons)}, and on_change is fail: nothing was scored. Write on_change: new_rows to score "
                "the rows that are new with it, or rescore to score all of them again"
            )
        if rescores:
            if self.following is not None and self.following.provenance == now:
                return self
            number = (self.following or self.current).number + 1
            return replace(self, following=Epoch(number=number, provenance=now))
        return Epochs(current=replace(self.current, provenance=now))


def changes(epochs: Epochs, now: Provenance) -> list[str]:
    """What is another than when the sink's rows were scored, a sentence each."""
    before = epochs.current.provenance
    return [] if before is None else list(now.changes(before))


def target(definition: JobDefinition, folder: Folder, epochs: Epochs) -> Place:
    """Where a run's rows go: the sink, or the table beside it."""
    if epochs.following is None:
        return definition.sink.delta
    return Place(path=folder.path(epochs.following.staged))


def begin(spark: SparkSession, definition: JobDefinition, folder: Folder, now: Provenance) -> Epochs:
    """What a run has to score, written down; what an earlier run left of a rescore that is done or given up is removed.

    Raises RunError where something changed and ``on_change`` is fail.
    """
    before = Epochs.read(folder)
    if before.following is not None and swapped_in(spark, definition, before) is not None:
        before = _settle(before, folder)  # its driver died between the two
    epochs = before.next(now, definition.on_change, scored=lambda: has_rows(spark, definition))
    _tidy(folder, before)  # an epoch that begins now may have the number of one that was given up
    epochs.write(folder)
    _tidy(folder, epochs)
    return epochs


def _tidy(folder: Folder, epochs: Epochs) -> None:
    """Removes what belongs to none of the epochs; a driver may have died before it did."""
    if not folder.exists(FILE):
        return
    both = [epochs.current, *([epochs.following] if epochs.following is not None else [])]
    kept = {*(one.checkpoint for one in both), *(one.staged for one in both[1:])}
    for name in folder.names(""):
        if _OWN.fullmatch(name) and name not in kept:
            folder.delete(name)


def swap(
    spark: SparkSession, definition: JobDefinition, epochs: Epochs, folder: Folder, metadata: Mapping[str, Any]
) -> int:
    """Puts the rows of the following epoch in the place of the job's rows in the sink, in one commit.

    Args:
        spark: with Delta.
        definition: the job.
        epochs: with a following one that is scored to its end.
        folder: the job's.
        metadata: of the commit.

    Returns the sink's version. Readers see the rows before or those after; rows of other jobs stay. Raises
    TooManyFailedRowsError where more of the new rows failed than ``errors.max_fraction`` allows: nothing is replaced.
    """
    assert epochs.following is not None
    place = target(definition, folder, epochs)
    _check_failed(spark, definition, place)
    told = json.dumps({**metadata, "epoch": epochs.following.number})
    overwrite(read(spark, place), definition, metadata=told)
    version = swapped_in(spark, definition, epochs)
    if version is None:
        raise RunError(f"expected epoch {epochs.following.number} in {definition.sink.shown}, its commit is not there")
    _settle(epochs, folder)
    return version


def _check_failed(spark: SparkSession, definition: JobDefinition, place: Place) -> None:
    from pyspark.sql import functions as f

    failed = f.count_if(f.col(f"{definition.sink.output}.error.code").isNotNull())
    counted = read(spark, place).agg(f.count("*").alias("rows"), failed.alias("failed")).first()
    assert counted is not None
    if counted["failed"] > definition.errors.max_fraction * counted["rows"]:
        raise TooManyFailedRowsError(
            f"{counted['failed']:,} of {counted['rows']:,} rows failed that were scored again, errors.max_fraction "
            f"allows {definition.errors.max_fraction:.2%}: {definition.sink.delta.shown} has those before, the new "
            f"ones stay in {place.shown}. Allow more, or go back to what scored before"
        )


def _settle(epochs: Epochs, folder: Folder) -> Epochs:
    assert epochs.following is not None
    settled = Epochs(current=epochs.following)
    settled.write(folder)
    folder.delete(epochs.following.staged)
    folder.delete(epochs.current.checkpoint)
    return settled


def swapped_in(spark: SparkSession, definition: JobDefinition, epochs: Epochs) -> int | None:
    """The sink's version in which the rows of the following epoch came into it; None where they have not yet."""
    assert epochs.following is not None
    wanted = (epochs.following.number, None)
    for commit in commits(spark, definition, definition.sink.delta):
        if (commit.told.get("epoch"), commit.told.get("batch")) == wanted:
            return commit.version
    return None


def _told(epoch: Epoch) -> dict[str, Any]:
    return {"number": epoch.number, "provenance": None if epoch.provenance is None else epoch.provenance.to_dict()}


def _epoch(told: Mapping[str, Any]) -> Epoch:
    provenance = told["provenance"]
    return Epoch(number=told["number"], provenance=None if provenance is None else Provenance.read(provenance))
