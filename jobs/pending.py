"""How many rows a run would score: counted by Spark, nothing is collected. Runs on the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs import changes, feed, tables
from jobs.merging import GONE
from jobs.references import reveal
from jobs.tables import Count

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.definition import JobDefinition
    from jobs.sections import Place
    from jobs.storage import Folder


def pending(
    spark: SparkSession, definition: JobDefinition, place: Place, folder: Folder | None, checkpoint: str
) -> Count:
    """Rows of the source, rows of the job in ``place``, and rows to score.

    Args:
        spark: with Delta.
        definition: the job.
        place: the sink, or the table beside it of a rescore.
        folder: the job's; None where there is no sink yet.
        checkpoint: of the stream, in it.
    """
    if definition.sink.mode == "replace_where":
        rows = tables.read_source(spark, definition).count()
        return Count(rows, tables.scored_rows(spark, definition, place), rows)
    last = None
    if definition.source.fed and folder is not None:
        last = changes.committed_offset(folder, checkpoint)
    if last is not None and not changes.reads_first(last):
        rows, scored = tables.read_source(spark, definition).count(), tables.scored_rows(spark, definition, place)
        changed = feed.since(spark, definition.source, changes.place(last))
        return Count(rows, scored, 0 if changed is None else _wanted(changed, definition).count())
    if definition.sink.mode == "merge" and definition.source.fold is None:
        rows = tables.read_source(spark, definition).select(*definition.source.key).distinct().count()
        scored = tables.scored_rows(spark, definition, place)
        return Count(rows, scored, max(0, rows - scored))
    return tables.count(spark, definition, place)


def _wanted(changed: DataFrame, definition: JobDefinition) -> DataFrame:
    source = definition.source
    if source.changes == "rescore":
        return feed.latest(changed, source).where(f"NOT {GONE}")
    came = feed.came(changed)
    return came if source.where is None else came.where(reveal(source.where))
