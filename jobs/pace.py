"""How fast a job's rows go, kept in its folder: rows are tried out before its first run, not before every one.

What was tried goes to the model once, so that a run that is done again asks it for no row that was committed; and the
runs themselves, once there are some, tell more than a trial of a few rows. Runs on the driver.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from jobs import trial
from jobs.hearing import Lengths
from jobs.provenance import Provenance
from jobs.trial import Trial
from jobs.writing import Texts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from engine.stats import Stats
    from jobs.resolved import Resolved
    from jobs.storage import Folder
    from jobs.summary import Planned

FILE: Final = "pace.json"


@dataclass(frozen=True)
class Pace:
    """What is expected of a run.

    Args:
        trial: what was found, without the rows' results.
        lengths: of the first recordings; None for a task without.
    """

    trial: Trial
    lengths: Lengths | None = None

    def of(self, rows: int, slots: int) -> Planned:
        """What scoring so many rows in so many tasks at once should take."""
        return trial.expect(rows, self.trial, slots, self.lengths)

    def as_it_ran(self, stats: Stats, device: str) -> Pace:
        """By what a run counted, where it scored more rows than a trial does."""
        counted = asdict(stats)
        scored, seconds = stats.rows - stats.nulls - stats.duplicates, trial.seconds_of(counted, device)
        if scored <= trial.ROWS or not seconds:
            return self
        found = replace(
            self.trial,
            rows_per_s=scored / seconds,
            speed=stats.audio_s / seconds,
            written_per_s=stats.written_tokens / seconds,
        )
        return replace(self, trial=found)


def tried(spark: SparkSession, resolved: Resolved) -> Pace:
    """By a trial of the source's first rows."""
    taken = trial.take(spark, resolved)
    return Pace(replace(trial.try_out(spark, taken), results=[]), taken.lengths)


def known(folder: Folder, resolved: Resolved) -> Pace | None:
    """As it was kept; None where it was not, or where another model, other inputs or another machine were."""
    if not folder.exists(FILE):
        return None
    kept = json.loads(folder.read(FILE))
    return _read(kept) if kept["of"] == _of(resolved) else None


def keep(folder: Folder, resolved: Resolved, pace: Pace) -> None:
    """Writes it down for the runs to come, where there is one: rows without an answer tell none."""
    if not pace.trial.rows_per_s:
        return
    folder.write(FILE, json.dumps({"of": _of(resolved), **asdict(pace)}))


def ran(folder: Folder, resolved: Resolved, stats: Stats) -> None:
    """Keeps the pace of a run, where it scored more rows than a trial does."""
    if stats.rows <= trial.ROWS:
        return
    before = known(folder, resolved)
    if before is None:
        return
    found = before.as_it_ran(stats, resolved.model.device.value)
    if found != before:
        keep(folder, resolved, found)


def _read(kept: Mapping[str, Any]) -> Pace:
    texts = kept["trial"]["texts"]
    found = Trial(**{**kept["trial"], "texts": texts and Texts(**texts)})
    return Pace(found, kept["lengths"] and Lengths(**kept["lengths"]))


def _of(resolved: Resolved) -> str:
    """Hash of all that a pace depends on but the rows."""
    model = resolved.model
    said = [Provenance.of(model).to_dict(), asdict(model.compute), dict(resolved.inputs), model.device.value]
    backend = None if model.backend is None else model.backend.value
    told = json.dumps([*said, backend, asdict(model.hardware)], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()
