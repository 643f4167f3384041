"""Rows into a Delta table, which is a name in the catalog or a path. Runs on the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobs.references import reveal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.definition import JobDefinition
    from jobs.sections import Place


def save(writer: Any, place: Place) -> None:
    """Writes what a DataFrameWriter of format delta holds."""
    if place.table is None:
        writer.save(reveal(place.path))
    else:
        writer.saveAsTable(reveal(place.table))


def overwrite(rows: DataFrame, definition: JobDefinition, *, metadata: str, where: str | None = None) -> None:
    """Puts rows in the place of this job's rows in the sink, or of those of them that meet ``where``, in one commit."""
    own = definition.own if where is None else f"({where}) AND {definition.own}"
    writer = rows.write.format("delta").mode("overwrite").option("replaceWhere", own).option("userMetadata", metadata)
    save(writer, definition.sink.delta)
