"""A few rows scored on one executor before the table is: how fast it is, and what half precision changes.

Runs on the driver, which starts the Spark jobs; the rows it takes are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from engine.stats import Stats
from jobs import tables
from jobs.resolved import Resolved
from jobs.summary import Planned
from udfs.scoring import score

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

#: Rows of a trial: enough for a full micro-batch of short texts, seconds of work for long ones.
ROWS: Final = 64


@dataclass(frozen=True)
class Trial:
    """Rows scored on one executor.

    Args:
        results: a struct a row, as Python values.
        rows_per_s: distinct rows by the seconds of one warm worker, of which encoding runs beside forward.
        load_s: seconds until the model was ready in a worker that did not have it; 0 where it had.
    """

    results: list[dict[str, Any] | None]
    rows_per_s: float
    load_s: float


def rows_of(spark: SparkSession, resolved: Resolved, count: int = ROWS) -> pa.Table:
    """The first rows of the source whose main input is not null: the columns that scoring reads and the key."""
    main = resolved.inputs[next(iter(resolved.inputs))]
    names = dict.fromkeys([*resolved.definition.source.key, *resolved.columns])
    rows = tables.read_source(spark, resolved.definition).where(f"`{main}` IS NOT NULL").select(*names)
    return rows.limit(count).toArrow()


def try_out(spark: SparkSession, resolved: Resolved, rows: pa.Table) -> Trial:
    """Scores the rows twice on one executor: the first time loads and warms up, the second is measured."""
    load_s = _score(spark, resolved, rows)[1].load_s
    results, stats = _score(spark, resolved, rows)
    seconds = max(stats.encode_s, stats.forward_s) + stats.decode_s
    distinct = stats.rows - stats.nulls - stats.duplicates
    return Trial(results, distinct / seconds if seconds else 0.0, load_s)


def score_rows(spark: SparkSession, resolved: Resolved, rows: pa.Table) -> list[dict[str, Any] | None]:
    """Scores the rows on one executor: a struct a row, in order."""
    return _score(spark, resolved, rows)[0]


def expect(rows: int, trial: Trial, slots: int) -> Planned:
    """What scoring so many rows should take, from a trial.

    It leaves out reading and writing, and takes the table for one whose rows are like the first ones and that has work
    for every slot. A full window pads less than a trial's few rows, so that a run is more often faster than slower.
    """
    rate = trial.rows_per_s * slots
    return Planned(rows=rows, rows_per_s=rate, seconds=trial.load_s + (rows / rate if rate else 0.0))


def _score(spark: SparkSession, resolved: Resolved, rows: pa.Table) -> tuple[list[dict[str, Any] | None], Stats]:
    given = spark.createDataFrame(rows).coalesce(1)
    scored = score(given, model=resolved.model, input=resolved.inputs, output="_result", stats="_stats")
    found = scored.select("_result", "_stats").toArrow().to_pydict()
    total = Stats()
    for window in filter(None, found["_stats"]):
        for field in fields(Stats):
            setattr(total, field.name, getattr(total, field.name) + window[field.name])
    return found["_result"], total
