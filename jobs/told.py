"""What a job's commits say of themselves, as userMetadata, and how a table's log is read for it. Runs on the driver."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from jobs.references import mask
from jobs.tables import delta_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition
    from jobs.resolved import Resolved
    from jobs.sections import Place

#: Commits that are looked at for one made a moment ago: some of others (OPTIMIZE, another job) may lie on top of it.
JUST_NOW: Final = 20


@dataclass(frozen=True)
class Commit:
    """A commit of a job.

    Args:
        version: of the table; at: when it was made.
        told: what it says, ``told_of`` and more.
        metrics: what Delta counted.
    """

    version: int
    at: datetime
    told: Mapping[str, Any]
    metrics: Mapping[str, str]


def told_of(resolved: Resolved, run_id: str) -> dict[str, Any]:
    """What a commit says of the run that made it."""
    definition, model = resolved.definition, resolved.model
    return {
        "job": definition.name,
        "identity": definition.identity,
        "run": run_id,
        "model": mask(model.ref.pinned),
        "digest": model.bundle.digest,
        "dtype": model.dtype.value,
    }


def commits(
    spark: SparkSession, definition: JobDefinition, place: Place, *, latest: int | None = None
) -> Iterator[Commit]:
    """The commits of a job in a table's log, the latest first; with ``latest`` those among so many of all."""
    table = delta_table(spark, place)
    log = table.history() if latest is None else table.history(latest)
    named = log.where(f"userMetadata LIKE '%{definition.identity}%'")
    for row in named.select("version", "timestamp", "userMetadata", "operationMetrics").collect():
        told = _read(row["userMetadata"])
        if told.get("identity") == definition.identity:
            yield Commit(int(row["version"]), row["timestamp"], told, row["operationMetrics"])


def _read(metadata: str) -> dict[str, Any]:
    try:
        told = json.loads(metadata)
    except ValueError:  # somebody else's commit
        return {}
    return told if isinstance(told, dict) else {}
