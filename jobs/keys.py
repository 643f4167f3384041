"""Keys that don't tell rows apart: nulls and duplicates, in a part of the source or all of it. Runs on the driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jobs import tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition

#: Rows looked at where not all are asked for.
ROWS: Final = 10_000
_SHOWN: Final = 5


@dataclass(frozen=True)
class Keys:
    """What was found among ``rows`` keys (None: all of them were looked at).

    Args:
        nulls: rows with a null in their key.
        duplicates: some keys that more than one row has, each with how many.
    """

    rows: int | None
    nulls: int
    duplicates: tuple[tuple[dict[str, Any], int], ...]

    def __str__(self) -> str:
        where = "all rows" if self.rows is None else f"the first {self.rows:,} rows"
        if not self.nulls and not self.duplicates:
            return f"no null and no duplicate in {where}"
        found = [f"{self.nulls:,} rows with a null"] if self.nulls else []
        for key, count in self.duplicates:
            found.append(" and ".join(f"{name}={value}" for name, value in key.items()) + f" in {count:,} rows")
        return f"{'; '.join(found)} (in {where}): rows can't be told apart in the sink"


def look(spark: SparkSession, definition: JobDefinition, *, everything: bool = False) -> Keys:
    """Counts null keys and names some duplicate ones, by two Spark jobs; five keys at most are collected."""
    from pyspark.sql import functions as f

    names = definition.source.key
    keys = tables.read_source(spark, definition).select(*names)
    if not everything:
        keys = keys.limit(ROWS)
    null = " OR ".join(f"`{name}` IS NULL" for name in names)
    nulls = keys.where(null).count()
    twice = keys.where(f"NOT ({null})").groupBy(*names).agg(f.count("*").alias("_rows")).where("_rows > 1")
    found = [row.asDict() for row in twice.orderBy(*names).limit(_SHOWN).collect()]
    return Keys(None if everything else ROWS, int(nulls), tuple((row, row.pop("_rows")) for row in found))
