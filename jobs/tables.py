"""Where rows come from and go to: a source read as a table or as a stream, a Delta sink. Runs on the driver."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from engine.errors import SchemaError
from engine.schema import TaskSchema, ddl
from jobs import fold, parsing
from jobs.batches import FORMAT
from jobs.batches import source as batches
from jobs.references import reveal
from jobs.sections import PROVENANCE, Place, Source
from jobs.writes import save

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from jobs.definition import JobDefinition

#: How much of the source a commit covers where the definition does not say it: what a crash costs at most.
BYTES_PER_COMMIT: Final = "1g"
#: Turns of a conversation that are looked at for the keys of some.
_TURNS: Final = 64
#: Formats of ours → what Spark reads them with.
_READERS: Final = {FORMAT: batches.READER}
_PROVENANCE_TYPES: Final = ("STRING", "STRING", "STRING", "TIMESTAMP")


def read_rows(spark: SparkSession, definition: JobDefinition) -> DataFrame:
    """The rows of the source as it is now, ``where`` applied, all columns; they may be turns."""
    with _named(definition.source):
        return _where(_shaped(_load(spark, definition.source), definition), definition.source)


def read_source(spark: SparkSession, definition: JobDefinition) -> DataFrame:
    """The rows to score of the source as it is now, all columns; turns are folded into conversations."""
    return _folded(read_rows(spark, definition), definition.source)


def read_some(spark: SparkSession, definition: JobDefinition, count: int) -> DataFrame:
    """Rows as ``read_source`` gives them, of which the first so many may be taken: not all turns are folded for it."""
    rows, source = read_rows(spark, definition), definition.source
    if source.fold is None:
        return rows
    return _folded(fold.touched(rows, rows.limit(count * _TURNS), source.key), source)


def read_these(spark: SparkSession, definition: JobDefinition, keys: DataFrame) -> DataFrame:
    """The rows of ``read_source`` that have a key of ``keys``, whose columns are ``row_key``'s."""
    source = definition.source
    rows = fold.touched(read_rows(spark, definition), keys, source.key)  # not all turns are folded for some
    return rows if source.fold is None else fold.touched(_folded(rows, source), keys, source.row_key)


def new_rows(batch: DataFrame, definition: JobDefinition, place: Place) -> DataFrame:
    """What a micro-batch of the stream brings to score: its rows, or the conversations it has turns of that have no
    answer in ``place`` yet.
    """
    source = definition.source
    if source.fold is None:
        return batch
    turns = fold.touched(read_rows(batch.sparkSession, definition), batch, source.key)
    return fold.unanswered(_folded(turns, source), own_rows(batch.sparkSession, definition, place), source.row_key)


def stream_source(spark: SparkSession, definition: JobDefinition) -> DataFrame:
    """The source as a stream of its new rows, ``where`` applied, all columns; of its changes where they are read.

    Changes that are followed are not cut by ``where``: a row may stop to meet it.
    """
    with _named(definition.source):
        if definition.source.changes == "rescore":
            return _stream(spark, definition)
        return _where(_shaped(_stream(spark, definition), definition), definition.source)


def _stream(spark: SparkSession, definition: JobDefinition) -> DataFrame:
    source, compute = definition.source, definition.compute
    reader = spark.readStream.format(_READERS.get(source.format, source.format))
    if compute.max_files_per_commit is not None:
        reader = reader.option("maxFilesPerTrigger", compute.max_files_per_commit)
    if compute.max_files_per_commit is None or source.format == "delta":  # Spark's file source takes one of the two
        limit = nbytes(compute.max_bytes_per_commit or BYTES_PER_COMMIT)
        reader = reader.option("maxBytesPerTrigger", limit)
    if source.fed:
        reader = reader.option("readChangeFeed", True)
    if source.format != "delta":
        reader = reader.schema(_load(spark, source).schema)
        reader = reader.option("maxFileAge", "36500d")  # older files than the newest by a week are ignored otherwise
        reader = reader.options(**{name: reveal(value) for name, value in source.options.items()})
    if source.table is not None:
        return reader.table(reveal(source.table))
    path = reveal(source.path or "")
    return reader.load(batches.stream_path(spark, path) if source.format == FORMAT else path)


def read_sink(spark: SparkSession, definition: JobDefinition) -> DataFrame | None:
    """The sink as it is now, None where there is none yet."""
    return read(spark, definition.sink.delta) if sink_exists(spark, definition) else None


def sink_exists(spark: SparkSession, definition: JobDefinition) -> bool:
    """Whether there is a Delta table where the sink should be.

    Raises SchemaError where there is something else.
    """
    return _is_delta(spark, definition.sink.delta)


def _is_delta(spark: SparkSession, place: Place) -> bool:
    from delta.tables import DeltaTable

    if place.table is None:
        path = reveal(place.path or "")
        return _has_log(spark, path) and bool(DeltaTable.isDeltaTable(spark, path))
    if not spark.catalog.tableExists(reveal(place.table)):
        return False
    if (spark.sql(f"DESCRIBE DETAIL {reveal(place.table)}").first() or {"format": None})["format"] != "delta":
        raise SchemaError(f"expected a Delta table at {place.table}, it has another format: name another sink")
    return True


def _has_log(spark: SparkSession, path: str) -> bool:
    """Delta takes a folder within a table for that table: the table beside a sink lies in the sink's folder."""
    jvm: Any = spark._jvm
    log = jvm.org.apache.hadoop.fs.Path(f"{path}/_delta_log")
    return bool(log.getFileSystem(spark._jsc.hadoopConfiguration()).exists(log))


def output_before(spark: SparkSession, definition: JobDefinition) -> pa.DataType | None:
    """The type of the sink's output column, None where there is no sink yet or it has no such column."""
    from pyspark.sql.pandas.types import to_arrow_type

    sink = read_sink(spark, definition)
    if sink is None or definition.sink.output not in sink.columns:
        return None
    return to_arrow_type(sink.schema[definition.sink.output].dataType)


def sink_schema(
    definition: JobDefinition, source: StructType, gives: TaskSchema, params: Mapping[str, Any] | None = None
) -> StructType:
    """Key, kept columns, output struct, parsed answers, provenance: what a sink row is. ``params`` are the model's.

    Raises SchemaError with every column of key and keep that the source lacks, and for answers that can't be parsed.
    """
    from pyspark.sql.types import DataType, StructField, StructType

    sink = definition.sink
    names = sink_columns(definition)
    missing = [name for name in names if name not in source.names]
    if missing:
        raise SchemaError(f"expected columns {', '.join(missing)} in the source, it has {', '.join(source.names)}")
    output = StructField(sink.output, DataType.fromDDL(ddl(gives.output)))
    provenance = zip(PROVENANCE, _PROVENANCE_TYPES, strict=True)
    added = [StructField(name, DataType.fromDDL(kind)) for name, kind in provenance]
    parsed = parsing.fields(sink, output.dataType, params or {}, [*names, sink.output])
    return StructType([*(source[name] for name in names), output, *parsed, *added])


def sink_columns(definition: JobDefinition) -> list[str]:
    """The columns of the source that a sink row keeps: key, then ``keep``."""
    return list(dict.fromkeys([*definition.source.row_key, *definition.sink.keep]))


def check_sink(spark: SparkSession, definition: JobDefinition, expected: StructType) -> None:
    """Raises SchemaError where the sink exists and has other columns or types; nullability does not count."""
    found = read_sink(spark, definition)
    if found is None:
        return
    wanted = {field.name: field.dataType.simpleString() for field in expected.fields}
    has = {field.name: field.dataType.simpleString() for field in found.schema.fields}
    wrong = [
        f"{name} {kind} (it has {has.get(name, 'no such column')})"
        for name, kind in wanted.items()
        if has.get(name) != kind
    ]
    wrong += [f"no {name}" for name in has if name not in wanted]
    if wrong:
        raise SchemaError(
            f"the sink {definition.sink.shown} has other columns than this job writes; expected {'; '.join(wrong)}. "
            "Name another sink, or change key, keep and output back"
        )


def create(spark: SparkSession, place: Place, schema: StructType) -> str:
    """Makes a Delta table where it is missing. Returns its location, a path or URI."""
    empty = spark.createDataFrame([], _nullable(schema)).write.format("delta").mode("ignore")
    save(empty, place)
    return location_of(spark, place)


def location_of(spark: SparkSession, place: Place) -> str:
    """Where a Delta table that is there lies, a URI."""
    if place.table is None:  # told without a query
        jvm: Any = spark._jvm
        path = jvm.org.apache.hadoop.fs.Path(reveal(place.path))
        return str(path.getFileSystem(spark._jsc.hadoopConfiguration()).makeQualified(path).toString())
    detail = delta_table(spark, place).detail().first()
    assert detail is not None
    return str(detail["location"])


def delta_table(spark: SparkSession, place: Place) -> Any:
    """The DeltaTable of a source or sink."""
    from delta.tables import DeltaTable

    if place.table is None:
        return DeltaTable.forPath(spark, reveal(place.path) or "")
    return DeltaTable.forName(spark, reveal(place.table))


@dataclass(frozen=True)
class Count:
    """Rows of the source, rows that this job's runs have put into the sink, and rows to score."""

    rows: int
    scored: int
    new: int


def count(spark: SparkSession, definition: JobDefinition, place: Place | None = None) -> Count:
    """Counts the source and what ``place`` has of it, the sink where it is None: aggregates, nothing is collected.

    Of turns, the conversations that wait for an answer.
    """
    source = read_source(spark, definition)
    rows, scored = source.count(), scored_rows(spark, definition, place)
    if definition.source.fold is None:
        return Count(rows, scored, max(0, rows - scored))
    key = definition.source.row_key
    return Count(rows, scored, fold.unanswered(source.select(*key), own_rows(spark, definition, place), key).count())


def scored_rows(spark: SparkSession, definition: JobDefinition, place: Place | None = None) -> int:
    """Rows that this job's runs wrote into ``place``, the sink where it is None."""
    found = own_rows(spark, definition, place)
    return 0 if found is None else int(found.count())


def has_rows(spark: SparkSession, definition: JobDefinition, place: Place | None = None) -> bool:
    """Whether ``scored_rows`` are any: the first that is found is enough."""
    found = own_rows(spark, definition, place)
    return found is not None and not found.isEmpty()


def nbytes(text: str) -> int:
    """``512m`` → 536,870,912: units b, k, m, g, t, as Spark writes them (powers of 1,024)."""
    number, unit = re.fullmatch(r"(\d+)([kmgt]?)b?", text).groups()  # type: ignore[union-attr]
    return int(number) << 10 * " kmgt".index(unit or " ")


@contextmanager
def _named(place: Place) -> Iterator[None]:
    """Says which table it is that Spark can't read."""
    from pyspark.errors import AnalysisException

    try:
        yield
    except AnalysisException as error:
        raise SchemaError(f"{place.shown} can't be read as the definition says: {error.getMessage()}") from error


def _load(spark: SparkSession, source: Source) -> DataFrame:
    if source.format == "delta":
        return read(spark, source)
    reader = spark.read.format(_READERS.get(source.format, source.format))
    if source.ddl is not None:
        reader = reader.schema(reveal(source.ddl))
    return reader.options(**{name: reveal(value) for name, value in source.options.items()}).load(reveal(source.path))


def read(spark: SparkSession, place: Place, *, version: int | None = None) -> DataFrame:
    """A Delta table as it is now, or as it was in a version."""
    reader = spark.read if version is None else spark.read.option("versionAsOf", version)
    if place.table is not None:
        return reader.table(reveal(place.table))
    return reader.format("delta").load(reveal(place.path))


def own_rows(spark: SparkSession, definition: JobDefinition, place: Place | None = None) -> DataFrame | None:
    """The rows that this job's runs wrote into ``place``, the sink where it is None; None where there is no table."""
    place = place or definition.sink.delta
    if not _is_delta(spark, place):
        return None
    rows = read(spark, place)
    if PROVENANCE[0] not in rows.columns:
        return None
    return rows.where(definition.own)


def _folded(rows: DataFrame, source: Source) -> DataFrame:
    if source.fold is None:
        return rows
    with _named(source):
        return fold.folded(rows, source, source.fold)


def _shaped(rows: DataFrame, definition: JobDefinition) -> DataFrame:
    return batches.requests(rows, definition) if definition.source.format == FORMAT else rows


def _where(rows: DataFrame, source: Source) -> DataFrame:
    return rows if source.where is None else rows.where(reveal(source.where))


def _nullable(schema: StructType) -> StructType:
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField(field.name, field.dataType) for field in schema.fields])
