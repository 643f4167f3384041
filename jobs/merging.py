"""Scored rows put into a Delta table by key: first beside it, then merged in one commit. Runs on the driver.

Rows are written down before they are merged, since MERGE may read its source more than once and scoring is not free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jobs.errors import RunError
from jobs.storage import Folder
from jobs.tables import delta_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.sections import Place

#: The folder of the rows beside the table, in the job's.
STAGED: Final = "merging"
#: The column that says that a key's row is to go.
GONE: Final = "_gone"
#: MERGE takes these from the session alone.
_METADATA: Final = "spark.databricks.delta.commitInfo.userMetadata"
_APP: Final = "spark.databricks.delta.write.txnAppId"
_VERSION: Final = "spark.databricks.delta.write.txnVersion"


def stage(rows: DataFrame, folder: Folder) -> None:
    """Scores ``rows`` by writing them beside the table."""
    folder.delete(STAGED)  # of a run that died
    rows.write.format("delta").save(folder.path(STAGED))


@dataclass(frozen=True, kw_only=True)
class Merge:
    """How staged rows go into a table.

    Args:
        key: the columns that tell rows apart.
        only: a SQL condition on ``sink``: rows of the table that it does not hold for are left as they are, and their
            keys are taken for new.
        insert: whether rows whose key the table lacks are added.
        metadata: of the commit.
        transaction: Delta's application id and version; None where doing it twice is the same as once.
    """

    key: Sequence[str]
    only: str
    insert: bool
    metadata: str
    transaction: tuple[str, int] | None = None

    def __call__(self, spark: SparkSession, place: Place, folder: Folder) -> None:
        """Merges and removes the staged rows. Raises RunError where a key has several of them: nothing is changed."""
        staged = spark.read.format("delta").load(folder.path(STAGED))
        self._check(staged, place)
        same = " AND ".join(f"sink.`{name}` <=> staged.`{name}`" for name in self.key)
        into = delta_table(spark, place).alias("sink").merge(staged.alias("staged"), f"{same} AND ({self.only})")
        columns = {f"`{name}`": f"staged.`{name}`" for name in staged.columns if name != GONE}
        there = "true"
        if GONE in staged.columns:
            into, there = into.whenMatchedDelete(f"staged.{GONE}"), f"NOT staged.{GONE}"
        into = into.whenMatchedUpdate(there, columns)
        if self.insert:
            into = into.whenNotMatchedInsert(there, columns)
        with _settings(spark, self._told()):
            into.execute()
        folder.delete(STAGED)

    def _check(self, staged: DataFrame, place: Place) -> None:
        doubles = staged.groupBy(*self.key).count().where("count > 1").count()
        if doubles:
            raise RunError(
                f"expected one row for each key, {doubles:,} keys have several: nothing of them went into "
                f"{place.shown}. `embercast plan --check-keys` counts them in the source"
            )

    def _told(self) -> dict[str, str]:
        told = {_METADATA: self.metadata}
        if self.transaction is not None:
            told |= {_APP: self.transaction[0], _VERSION: str(self.transaction[1])}
        return told


@contextmanager
def _settings(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """The session has these settings within the block, and those before after it."""
    before: dict[str, Any] = {name: spark.conf.get(name, None) for name in values}
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, value)
