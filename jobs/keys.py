"""Keys that don't tell rows apart: nulls and duplicates, in a part of the source or all of it. Runs on the driver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from jobs import tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.definition import JobDefinition

#: Rows looked at where not all are asked for.
ROWS: Final = 10_000
_SHOWN: Final = 5
_COUNT: Final = "__embercast_rows"


@dataclass(frozen=True)
class Keys:
    """What was found.

    Args:
        rows: looked at; whole: whether these were all.
        nulls: rows with a null in their key.
        duplicates: keys that more than one row has; examples: some of them, each with how many rows, most first.
        turns: whether these are rows of conversations, whose key has order and role in it.
    """

    rows: int
    whole: bool
    nulls: int
    duplicates: int
    examples: tuple[str, ...]
    turns: bool = False

    @property
    def unique(self) -> bool:
        """Whether the key tells these rows apart."""
        return not self.nulls and not self.duplicates

    def __str__(self) -> str:
        where = f"all {self.rows:,} rows" if self.whole else f"the first {self.rows:,} rows"
        if self.unique:
            return f"no null and no duplicate in {where}"
        found = [f"{self.nulls:,} rows with a null"] if self.nulls else []
        if self.duplicates:
            found.append(f"{self.duplicates:,} duplicate keys, such as {', '.join(self.examples)}")
        what = "turns can't be put in order" if self.turns else "rows can't be told apart in the sink"
        return f"{'; '.join(found)} (in {where}): {what}"


def look(spark: SparkSession, definition: JobDefinition, *, everything: bool = False) -> Keys:
    """Counts null and duplicate keys of the first ``ROWS`` rows, or of all: one shuffle of the key, five collected.

    Of turns, whose conversation they share, the key is that with their order and role.
    """
    fold = definition.source.fold
    key = definition.source.row_key if fold is None else [*definition.source.row_key, fold.role]
    rows = tables.read_rows(spark, definition).select(*key)
    if everything:
        return replace(_count(rows, key, whole=True), turns=fold is not None)
    some = rows.limit(ROWS).persist()  # a limit may take other rows the second time
    try:
        return replace(_count(some, key, whole=False), turns=fold is not None)
    finally:
        some.unpersist()


def _count(rows: DataFrame, key: Sequence[str], *, whole: bool) -> Keys:
    from pyspark.sql import functions as f

    count = f.col(_COUNT)
    null = f.expr(" OR ".join(f"`{name}` IS NULL" for name in key))
    again = ~null & (count > 1)
    counted = rows.groupBy(*key).agg(f.count(f.lit(1)).alias(_COUNT))
    found = counted.agg(f.sum(count), f.sum(f.when(null, count)), f.count_if(again)).first()
    total, nulls, duplicates = (int(number or 0) for number in found or (0, 0, 0))
    examples = counted.where(again).orderBy(count.desc(), *key).limit(_SHOWN).collect() if duplicates else []
    named = (" and ".join(f"{name}={row[name]}" for name in key) + f" ({row[_COUNT]:,} rows)" for row in examples)
    return Keys(total, whole or total < ROWS, nulls, duplicates, tuple(named))
