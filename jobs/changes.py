"""What may not happen to a source between two runs: a row that was scored can't be unscored. Runs on the driver.

Delta's stream itself refuses updates, deletes and overwrites; what it lets pass, and what Spark's file source does not
look at (files removed or written over), is found here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from jobs.errors import SourceChangedError
from jobs.references import reveal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from jobs.definition import JobDefinition
    from jobs.storage import Folder

SCHEMA: Final = "source_schema.json"
CHECKPOINT: Final = "checkpoint"
#: What Delta's stream stops with → what happened to the source.
_DELTA: Final = {
    "DELTA_SOURCE_TABLE_IGNORE_CHANGES": "rows of the source were updated, or it was overwritten",
    "DELTA_SOURCE_IGNORE_DELETE": "rows of the source were deleted",
    "DIFFERENT_DELTA_TABLE_READ_BY_STREAMING_SOURCE": "the source is another table than at the last run",
    "DELTA_SCHEMA_CHANGED": "the schema of the source changed",
    "DELTA_STREAMING_INCOMPATIBLE_SCHEMA_CHANGE": "the schema of the source changed",
    "DELTA_STREAMING_CANNOT_CONTINUE_PROCESSING_POST_SCHEMA_EVOLUTION": "the schema of the source changed",
    "DELTA_STREAMING_METADATA_EVOLUTION": "the schema of the source changed",
}
_ADVICE: Final = (
    "What was scored before stays. To score the source as it is now, run the job under another name into another sink"
)


def check_schema(folder: Folder, found: StructType, definition: JobDefinition, *, accept: bool) -> None:
    """Compares the source's columns with those of the last run, and remembers them.

    Raises SourceChangedError with what was added, removed or retyped, unless ``accept``.
    """
    now = {field.name: field.dataType.simpleString() for field in found.fields}
    if folder.exists(SCHEMA) and not accept:
        before: dict[str, str] = json.loads(folder.read(SCHEMA))
        changes = [f"{name} {kind} is new" for name, kind in now.items() if name not in before]
        changes += [f"{name} {kind} is gone" for name, kind in before.items() if name not in now]
        changes += [
            f"{name} was {before[name]} and is {kind}" for name, kind in now.items() if before.get(name, kind) != kind
        ]
        if changes:
            raise SourceChangedError(
                f"the schema of {definition.source.shown} changed since the last run: {'; '.join(changes)}. "
                "Nothing was scored. If that is meant, run once with --accept-schema"
            )
        return
    folder.write(SCHEMA, json.dumps(now))


def check_files(spark: SparkSession, folder: Folder, definition: JobDefinition) -> None:
    """Looks for files that were scored and are gone or written over since; one join, three names are collected.

    Raises SourceChangedError. A Delta source needs no such look.
    """
    if definition.source.format == "delta" or not folder.exists(f"{CHECKPOINT}/sources/0"):
        return
    from pyspark.sql import functions as f

    seen = _seen(spark, folder.path(f"{CHECKPOINT}/sources/0"))
    there = spark.read.format("binaryFile").load(reveal(definition.source.path)).select("path", "modificationTime")
    there = there.select(_plain("path"), f.unix_millis("modificationTime").alias("now"))
    changed = seen.join(there, "path", "left").where("now IS NULL OR now != timestamp")
    names = [row["path"].rpartition("/")[2] for row in changed.limit(3).collect()]
    if names:
        raise SourceChangedError(
            f"files of {definition.source.shown} that were scored are gone or were written over: {', '.join(names)}. "
            f"{_ADVICE}"
        )


def source_changed(error: Exception, definition: JobDefinition) -> SourceChangedError | None:
    """The error of a stream in the user's words, where it is about changed rows of the source."""
    text = str(error)
    for condition, happened in _DELTA.items():
        if condition in text:
            return SourceChangedError(
                f"{definition.source.shown}: {happened} since the last run; this job scores added rows only "
                f"(changes: fail). {_ADVICE}"
            )
    return None


def _seen(spark: SparkSession, log: str) -> DataFrame:
    """path, timestamp (ms) of every file that the stream has read, from the log it keeps."""
    from pyspark.sql import functions as f

    entries = spark.read.text(log).where("value LIKE '{%'")
    entry = f.from_json("value", "path STRING, timestamp BIGINT").alias("entry")
    return entries.select(entry).select(_plain("entry.path"), "entry.timestamp").distinct()


def _plain(column: str) -> Any:
    from pyspark.sql import functions as f

    return f.regexp_replace(column, r"^file:/+", "file:/").alias("path")
