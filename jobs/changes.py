"""What may not happen to a source between two runs: a row that was scored can't be unscored. Runs on the driver.

Delta's stream itself refuses updates, deletes and overwrites; what it lets pass, and what Spark's file source does not
look at (files removed or written over), is found here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from jobs import feed
from jobs.errors import RunError, SourceChangedError
from jobs.references import reveal
from jobs.storage import Folder
from jobs.tables import delta_table, has_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from jobs.definition import JobDefinition
    from jobs.sections import Place

SCHEMA: Final = "source_schema.json"
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
#: Of a Delta commit's file, what tells a change from an addition; OPTIMIZE changes no data.
_ACTIONS: Final = "add STRUCT<dataChange: BOOLEAN>, remove STRUCT<dataChange: BOOLEAN>"
_ADVICE: Final = (
    "What was scored before stays. To score the source as it is now, run the job under another name into another sink"
)


def check_progress(
    spark: SparkSession, folder: Folder, checkpoint: str, place: Place, definition: JobDefinition
) -> None:
    """Raises RunError where ``place`` has rows of this job but the stream's ``checkpoint`` is gone."""
    if not folder.exists(f"{checkpoint}/offsets") and has_rows(spark, definition, place):
        raise RunError(
            f"{definition.sink.shown} has rows of this job, but the job's progress in {folder.uri} is gone: scoring "
            "from the start would double them. Put the folder back, or run the job under another name"
        )


def check_schema(folder: Folder, found: StructType, definition: JobDefinition) -> None:
    """Raises SourceChangedError with what was added, removed or retyped of the source's columns since the last run."""
    if not folder.exists(SCHEMA):
        return
    now = _types(found)
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


def remember_schema(folder: Folder, found: StructType, *, accept: bool) -> None:
    """Writes the source's columns down at the first run, and again where a change of them is accepted."""
    if accept or not folder.exists(SCHEMA):
        folder.write(SCHEMA, json.dumps(_types(found)))


def check_files(spark: SparkSession, folder: Folder, checkpoint: str, definition: JobDefinition) -> None:
    """Looks for files that were scored and are gone or written over since; one join, three names are collected.

    Raises SourceChangedError. A Delta source needs no such look.
    """
    if definition.source.format == "delta" or not folder.exists(f"{checkpoint}/sources/0"):
        return
    from pyspark.sql import functions as f

    seen = _seen(spark, folder.path(f"{checkpoint}/sources/0"))
    there = spark.read.format("binaryFile").load(reveal(definition.source.path)).select("path", "modificationTime")
    there = there.select(_plain("path"), f.unix_millis("modificationTime").alias("now"))
    changed = seen.join(there, "path", "left").where("now IS NULL OR now != timestamp")
    names = [row["path"].rpartition("/")[2] for row in changed.limit(3).collect()]
    if names:
        raise SourceChangedError(
            f"files of {definition.source.shown} that were scored are gone or were written over: {', '.join(names)}. "
            f"{_ADVICE}"
        )


def check_commits(spark: SparkSession, folder: Folder, checkpoint: str, definition: JobDefinition) -> None:
    """Looks through the commits of a Delta source since the last run for what its stream would stop with.

    Raises SourceChangedError. Reads those commits' own files and no rows; a source of files needs no such look.
    """
    last = None if definition.source.fed else last_offset(spark, folder, checkpoint, definition)
    if last is None:
        return
    from pyspark.sql import functions as f

    source = delta_table(spark, definition.source)
    detail = source.detail().first()
    if detail["id"] != last["reservoirId"]:
        raise _changed("DIFFERENT_DELTA_TABLE_READ_BY_STREAMING_SOURCE", definition)
    log = Folder(spark, f"{detail['location']}/_delta_log")
    until = source.history(1).first()["version"]
    files = [f"{version:020}.json" for version in range(place(last), until + 1)]
    paths = [log.path(name) for name in files if log.exists(name)]
    if not paths:
        return
    actions = spark.read.schema(_ACTIONS).json(paths).groupBy(f.input_file_name())
    found = actions.agg(f.max("remove.dataChange").alias("removed"), f.max("add.dataChange").alias("added"))
    for commit in found.where("removed").limit(1).collect():
        condition = "DELTA_SOURCE_TABLE_IGNORE_CHANGES" if commit["added"] else "DELTA_SOURCE_IGNORE_DELETE"
        raise _changed(condition, definition)


def last_offset(
    spark: SparkSession, folder: Folder, checkpoint: str, definition: JobDefinition
) -> dict[str, Any] | None:
    """How far the stream of a Delta source is, as Delta writes it; None where it has not begun."""
    if definition.source.format != "delta" or not folder.exists(f"{checkpoint}/offsets"):
        return None
    offsets = spark.read.text(folder.path(f"{checkpoint}/offsets")).where("value LIKE '%reservoirVersion%'")
    return max((json.loads(row["value"]) for row in offsets.collect()), key=place, default=None)


def committed_offset(folder: Folder, checkpoint: str) -> dict[str, Any] | None:
    """How far the rows are that the stream of a Delta source has committed; None where it has committed none.

    What it has begun and not committed, where a run died or came to a limit, is scored by the next one.
    """
    if not folder.exists(f"{checkpoint}/commits"):
        return None
    batches = [int(name) for name in folder.names(f"{checkpoint}/commits") if name.isdecimal()]
    if not batches:
        return None
    lines = folder.read(f"{checkpoint}/offsets/{max(batches)}").splitlines()
    return next((json.loads(line) for line in lines if "reservoirVersion" in line), None)


def reads_first(offset: dict[str, Any]) -> bool:
    """Whether the stream is amid the table as it was when the stream began."""
    return bool(offset["isStartingVersion"])


def place(offset: dict[str, Any]) -> int:
    """The version of the source that the stream reads next: a commit that was begun has been looked at."""
    return int(offset["reservoirVersion"]) + (int(offset["index"]) >= 0)


def source_changed(error: Exception, definition: JobDefinition) -> SourceChangedError | None:
    """The error of a stream in the user's words, where it is about changed rows of the source."""
    text = str(error)
    return next((_changed(condition, definition) for condition in _DELTA if condition in text), None)


def _changed(condition: str, definition: JobDefinition) -> SourceChangedError:
    return SourceChangedError(
        f"{definition.source.shown}: {_DELTA[condition]} since the last run; this job scores added rows only "
        f"(changes: fail). {_ADVICE}, or write changes: rescore"
    )


def _types(schema: StructType) -> dict[str, str]:
    return {field.name: field.dataType.simpleString() for field in schema.fields if field.name not in feed.COLUMNS}


def _seen(spark: SparkSession, log: str) -> DataFrame:
    """path, timestamp (ms) of every file that the stream has read, from the log it keeps."""
    from pyspark.sql import functions as f

    entries = spark.read.text(log).where("value LIKE '{%'")
    entry = f.from_json("value", "path STRING, timestamp BIGINT").alias("entry")
    # The log holds URIs, the source's own column plain paths; a plus stays one.
    path = f.url_decode(f.regexp_replace("entry.path", r"\+", "%2B"))
    return entries.select(entry).select(_plain(path), "entry.timestamp").distinct()


def _plain(column: Any) -> Any:
    from pyspark.sql import functions as f

    return f.regexp_replace(column, r"^file:/+", "file:/").alias("path")
