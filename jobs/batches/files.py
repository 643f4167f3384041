"""What an openai-batch sink is beside its Delta table: output.jsonl and errors.jsonl. Runs on the driver.

The table is the truth, written exactly once; the files are made of it when a run has ended, by the executors, and take
the place of those of the last run. A run that died before that leaves them to the next one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from jobs.batches import FILES, FORMAT, KEY, ROWS
from jobs.batches.answers import Answers
from jobs.references import mask, reveal
from jobs.storage import Folder
from jobs.tables import delta_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.lease import Lease
    from jobs.resolved import Resolved

log = logging.getLogger("embercast")

#: Which version of the table the files hold, in the job's folder.
WRITTEN: Final = "files.json"
_UNFINISHED: Final = "_unfinished"


def write(spark: SparkSession, resolved: Resolved, progress: Folder, lease: Lease) -> None:
    """Writes both files where they are not those of the table as it is now; nothing for a sink of another format.

    Args:
        spark: with Delta.
        resolved: the job.
        progress: the job's folder.
        lease: looked at before a file takes its place.
    """
    sink = resolved.definition.sink
    if sink.format != FORMAT:
        return
    folder = Folder(spark, reveal(sink.path or ""))
    version = int(delta_table(spark, sink.delta).history(1).first()["version"])
    written = json.loads(progress.read(WRITTEN))["version"] if progress.exists(WRITTEN) else None
    if written == version and all(map(folder.exists, FILES)):
        return
    rows = spark.read.format("delta").option("versionAsOf", version).load(reveal(sink.delta.path))
    failed = f"`{sink.output}` IS NULL OR `{sink.output}`.error.code IS NOT NULL"
    for name, wanted in zip(FILES, (failed, f"NOT ({failed})"), strict=True):
        _write(folder, name, rows.where(wanted), resolved, lease)
    folder.delete(_UNFINISHED)
    progress.write(WRITTEN, json.dumps({"version": version}))
    _tell_doubles(rows, sink.shown)


def _write(folder: Folder, name: str, rows: DataFrame, resolved: Resolved, lease: Lease) -> None:
    from pyspark.sql import functions as f

    answers = Answers(resolved.model.task, resolved.definition.identity)
    result = f.col(f"`{resolved.definition.sink.output}`")
    columns = rows.select(f.col(KEY), result, f.unix_seconds("_scored_at"), _model(resolved))
    lines = columns.mapInArrow(_writer(answers), "value STRING").repartition(1)
    unfinished = f"{_UNFINISHED}/{name}"
    # One plain file, whatever the session says of others.
    writer = lines.write.mode("overwrite").option("maxRecordsPerFile", 0).option("compression", "none")
    writer.text(folder.path(unfinished))
    parts = [part for part in folder.names(unfinished) if part.startswith("part-")]
    if not parts:  # no row at all
        parts = ["part-none"]
        folder.create(f"{unfinished}/{parts[0]}", "")
    lease.check()
    folder.replace(f"{unfinished}/{parts[0]}", name)


def _writer(answers: Answers) -> Callable[[Iterator[Any]], Iterator[Any]]:
    def write_partition(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, ROWS):
                part = batch.slice(start, ROWS)
                yield pa.RecordBatch.from_arrays([answers.lines(*part.columns)], names=["value"])

    return write_partition


def _model(resolved: Resolved) -> Any:
    """The model that scored each row: a registered one with its version, of a folder the folder's name."""
    from pyspark.sql import functions as f

    ref = resolved.model.ref
    if ref.version is not None:
        return f.concat(f.lit(mask(ref.pinned).removesuffix(ref.version)), f.col("_model_version"))
    return f.lit(mask(ref.known_as))


def _tell_doubles(rows: DataFrame, sink: str) -> None:
    from pyspark.sql import functions as f

    counted = rows.where(f.col(KEY).isNotNull()).groupBy(KEY).count()
    doubles = counted.where("count > 1").count()
    if doubles:
        log.warning("%s: %s stands on more than one line for %d of them: each has its line", sink, KEY, doubles)
