"""Delta's change data feed: which rows of a source came, changed and went, and what that means for the sink.

The first run reads the table as it is, as rows that came. Runs on the driver.
Columns: https://docs.delta.io/latest/delta-change-data-feed.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.errors import SchemaError
from jobs.merging import GONE
from jobs.references import reveal
from jobs.tables import delta_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.definition import JobDefinition
    from jobs.sections import Source

_TYPE: Final = "_change_type"
_VERSION: Final = "_commit_version"
COLUMNS: Final = (_TYPE, _VERSION, "_commit_timestamp")
_PROPERTY: Final = "delta.enableChangeDataFeed"


def check(spark: SparkSession, definition: JobDefinition) -> None:
    """Raises SchemaError where the source keeps no feed and the definition wants one."""
    source = definition.source
    if not source.fed:
        return
    detail = delta_table(spark, source).detail().first()
    if detail["properties"].get(_PROPERTY) != "true":
        raise SchemaError(
            f"changes: {source.changes} reads the change data feed of {source.shown}, which is off: ALTER TABLE … SET "
            f"TBLPROPERTIES ({_PROPERTY} = true); changes that were made before that are not in it"
        )


def came(changed: DataFrame) -> DataFrame:
    """The rows that came, of a batch of the feed; those that changed or went are left out."""
    return changed.where(f"{_TYPE} = 'insert'").drop(*COLUMNS)


def latest(changed: DataFrame, source: Source) -> DataFrame:
    """Of each key in a batch of the feed how it was last, with ``GONE`` where it went or no longer meets ``where``.

    A key that several rows have after one commit keeps them all. One that rows lost and none has goes once: a row whose
    key was updated went under the old one.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    went = f.col(_TYPE).isin("delete", "update_preimage")
    if source.where is not None:
        went |= ~f.coalesce(f.expr(reveal(source.where)), f.lit(False))
    last = Window.partitionBy(*source.key).orderBy(f.col(_VERSION).desc(), f.col(GONE))
    ranked = changed.withColumn(GONE, went).withColumn("_rank", f.rank().over(last))
    ranked = ranked.withColumn("_number", f.row_number().over(last))
    return ranked.where(f"_rank = 1 AND (_number = 1 OR NOT {GONE})").drop("_rank", "_number", *COLUMNS)


def since(spark: SparkSession, source: Source, version: int) -> DataFrame | None:
    """What the feed has from a version on; None where there is no such version yet."""
    newest = delta_table(spark, source).history(1).first()["version"]
    if version > newest:
        return None
    reader = spark.read.format("delta").option("readChangeFeed", True).option("startingVersion", version)
    return reader.load(reveal(source.path)) if source.table is None else reader.table(reveal(source.table))
