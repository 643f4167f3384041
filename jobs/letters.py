"""The table of rows that failed and were not scored since: key, error, attempts, versions. Runs on the driver.

It is made of the sink after each run, of the runs that are not in it yet: a run that died before that leaves it to the
next one. Several jobs may share one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from jobs import tables
from jobs.sections import Place
from jobs.told import commits

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from jobs.definition import JobDefinition
    from jobs.storage import Folder

#: Up to which version of the sink it is written, in the job's folder.
NOTED: Final = "letters.json"


def note(spark: SparkSession, definition: JobDefinition, folder: Folder) -> None:
    """Adds the rows that failed since the last time, counts another attempt of those that failed again, and takes out
    those that were scored meanwhile. Nothing where the definition names no table.
    """
    place = definition.errors.letters
    rows = None if place is None else tables.own_rows(spark, definition)
    if place is None or rows is None:
        return
    version, runs = _runs(spark, definition, _noted(folder, place))
    if runs is not None and not runs:
        return
    tables.create(spark, place, _schema(definition, rows.schema))
    new = rows if runs is None else rows.where(rows["_run_id"].isin(sorted(runs)))
    failed = f"{definition.sink.output}.error.code IS NOT NULL"
    _take_out(spark, definition, place, new.where(f"NOT ({failed})"))
    if runs is None or definition.merges or definition.sink.mode == "replace_where":
        _take_out_gone(spark, definition, place, rows)
    _add(spark, definition, place, new.where(failed))
    folder.write(NOTED, json.dumps({"version": version, "place": place.shown}))


def _noted(folder: Folder, place: Place) -> int:
    """Up to which version of the sink it is written; -1 for a table that nothing was written into."""
    told = json.loads(folder.read(NOTED)) if folder.exists(NOTED) else {}
    return int(told["version"]) if told.get("place") == place.shown else -1


def _runs(spark: SparkSession, definition: JobDefinition, since: int) -> tuple[int, set[str] | None]:
    """The sink's version, and the runs of this job whose commits came after version ``since``.

    None stands for all runs: at the first time, and where an epoch came into the sink, which several may have scored.
    """
    version = int(tables.delta_table(spark, definition.sink.delta).history(1).first()["version"])
    new = [one.told for one in commits(spark, definition, definition.sink.delta) if one.version > since]
    swapped = any("epoch" in told and "batch" not in told for told in new)
    return version, None if since < 0 or swapped else {told["run"] for told in new}


def _schema(definition: JobDefinition, sink: StructType) -> StructType:
    from pyspark.sql.types import StructType

    own = "_job STRING, code STRING, message STRING, retryable BOOLEAN, attempts INT, _run_id STRING, "
    told = StructType.fromDDL(f"{own}_model_version STRING, _scored_at TIMESTAMP")
    return StructType([*(sink[name] for name in definition.source.row_key), *told.fields])


def _add(spark: SparkSession, definition: JobDefinition, place: Place, failed: DataFrame) -> None:
    from pyspark.sql import functions as f

    error = f"{definition.sink.output}.error"
    letters = failed.select(
        *definition.source.row_key,
        f.lit(definition.identity).alias("_job"),
        *(f.col(f"{error}.{name}") for name in ("code", "message", "retryable")),
        f.lit(1).alias("attempts"),
        *("_run_id", "_model_version", "_scored_at"),
    ).dropDuplicates(definition.source.row_key)
    again = {name: f"new.`{name}`" for name in letters.columns} | {"attempts": "letter.attempts + 1"}
    into = _merge(spark, definition, place, letters)
    into.whenMatchedUpdate("letter._run_id != new._run_id", again).whenNotMatchedInsertAll().execute()


def _take_out(spark: SparkSession, definition: JobDefinition, place: Place, scored: DataFrame) -> None:
    """Of the rows that were scored those that stand in the table."""
    known = _standing(spark, definition, place, scored)
    _merge(spark, definition, place, known).whenMatchedDelete().execute()


def _take_out_gone(spark: SparkSession, definition: JobDefinition, place: Place, rows: DataFrame) -> None:
    """Rows of the table that the sink (``rows``) has no more."""
    key = definition.source.row_key
    there = _standing(spark, definition, place, rows)
    gone = _keys(spark, definition, place).dropna().join(there, key, "left_anti")
    _merge(spark, definition, place, gone).whenMatchedDelete().execute()


def _standing(spark: SparkSession, definition: JobDefinition, place: Place, rows: DataFrame) -> DataFrame:
    key = definition.source.row_key
    return rows.select(*key).join(_keys(spark, definition, place), key, "left_semi").distinct()


def _keys(spark: SparkSession, definition: JobDefinition, place: Place) -> DataFrame:
    from pyspark.sql import functions as f

    own = tables.read(spark, place).where(f.col("_job") == definition.identity)
    return own.select(*definition.source.row_key)


def _merge(spark: SparkSession, definition: JobDefinition, place: Place, rows: DataFrame) -> Any:
    same = " AND ".join(f"letter.`{name}` <=> new.`{name}`" for name in definition.source.row_key)
    own = f"letter._job = '{definition.identity}'"
    return tables.delta_table(spark, place).alias("letter").merge(rows.alias("new"), f"{same} AND {own}")
