"""A batch file as a source: its lines, each with what its request holds. Runs on the driver."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from jobs.batches import FORMAT, KEY, ROWS
from jobs.batches.endpoints import ENDPOINTS, Endpoint
from jobs.batches.requests import REFUSED, read, schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.definition import JobDefinition

#: What Spark reads the lines with.
READER: Final = "text"
#: Lines that a plan looks at, and reasons that it names.
_LOOKED: Final = 10_000
_SHOWN: Final = 3
_GLOB: Final = re.compile(r"([\\*?\[\]{}])")


def requests(lines: DataFrame, definition: JobDefinition) -> DataFrame:
    """``value STRING`` a line → the columns of its request; empty lines are left out.

    A seed that a request leaves out is made of its ``custom_id``, where the definition gives none.
    """
    from pyspark.sql import functions as f
    from pyspark.sql.pandas.types import from_arrow_schema

    endpoint = ENDPOINTS[definition.task or ""]
    # As bytes: a string column that is not UTF-8 would cost its whole batch.
    values = lines.where(f.length(f.trim("value")) > 0).select(f.col("value").cast("binary"))
    rows = values.mapInArrow(_reader(endpoint), from_arrow_schema(schema(endpoint)))
    seed = definition.params.get("seed")
    if "seed" in endpoint.fields and getattr(seed, "default", seed) is None:
        rows = rows.withColumn("seed", f.coalesce("seed", f.xxhash64(KEY)))
    return rows


def stream_path(spark: SparkSession, path: str) -> str:
    """What a stream is to watch: a file by a pattern that it alone meets, since Spark's streams take no file's path."""
    at = spark._jvm.org.apache.hadoop.fs.Path(path)
    files = at.getFileSystem(spark._jsc.hadoopConfiguration())
    if not files.exists(at) or files.getFileStatus(at).isDirectory():
        return path
    escaped = _GLOB.sub(r"\\\1", path)
    return f"{escaped[:-1]}[{escaped[-1]}]"


def _reader(endpoint: Endpoint) -> Callable[[Iterator[Any]], Iterator[Any]]:
    def read_partition(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, ROWS):
                yield read(batch.column(0).slice(start, ROWS), endpoint)

    return read_partition


def refusals(rows: DataFrame, definition: JobDefinition) -> Iterator[str]:
    """Why the first lines of a batch file are no requests, most frequent first; nothing for another source."""
    from pyspark.sql import functions as f

    if definition.source.format != FORMAT:
        return
    refused = rows.limit(_LOOKED).where(f.col(REFUSED).isNotNull()).groupBy(REFUSED).count()
    for row in refused.orderBy(f.desc("count"), REFUSED).limit(_SHOWN).collect():
        yield f"{row['count']:,} of the first {_LOOKED:,} lines are no requests of this job's endpoint: {row[REFUSED]}"


def told(scored: DataFrame, output: str) -> DataFrame:
    """The scored rows, with an error as the ``output`` of those whose line is no request."""
    from pyspark.sql import functions as f

    kept = scored.schema[output].dataType
    code, retryable = f.lit("invalid_request").alias("code"), f.lit(False).alias("retryable")
    error = f.struct(code, f.col(REFUSED).alias("message"), retryable).alias("error")
    nothing = [f.lit(None).cast(one.dataType).alias(one.name) for one in kept.fields[:-1]]
    refused = f.struct(*nothing, error).cast(kept)
    return scored.withColumn(output, f.when(f.col(REFUSED).isNull(), f.col(output)).otherwise(refused))
