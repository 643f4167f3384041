"""The tables that a run read and wrote, as MLflow's datasets with their Delta versions. Runs on the driver.

Nothing of a table is read but what its log says: MLflow's own ``load_delta`` would count the rows.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from jobs import tables
from jobs.references import REFERENCE

if TYPE_CHECKING:
    from mlflow.data.dataset import Dataset
    from mlflow.data.dataset_source import DatasetSource
    from mlflow.types import Schema
    from pyspark.sql import SparkSession
    from pyspark.sql.types import DataType, StructType

    from jobs.definition import JobDefinition
    from jobs.sections import Place
    from jobs.summary import Summary

#: The contexts under which a run shows its tables.
INPUT: Final = "input"
OUTPUT: Final = "output"
#: Spark's types → MLflow's; others are AnyType.
_TYPES: Final = {
    **{name: name for name in ("string", "boolean", "integer", "long", "float", "double", "binary")},
    **dict.fromkeys(("byte", "short", "tinyint", "smallint"), "integer"),
    **dict.fromkeys(("date", "timestamp", "timestamp_ntz"), "datetime"),
}
#: MLflow's limit.
_NAME: Final = 500


def touched(spark: SparkSession, definition: JobDefinition, summary: Summary) -> dict[str, Dataset]:
    """Context → what the run read or wrote; a run that found nothing new wrote nothing."""
    source, sink = definition.source, definition.sink
    found = {}
    if source.format != "delta":
        if summary.rows:
            found[INPUT] = _files(spark, definition, summary.run_id)
    elif summary.source_version is not None:
        found[INPUT] = _table(spark, source, source.shown, summary.source_version)
    if summary.sink_version is not None:
        found[OUTPUT] = _table(spark, sink.delta, sink.shown, summary.sink_version)
    return found


def schema_of(struct: StructType) -> Schema:
    """A table's columns in MLflow's types; AnyType for those that MLflow has none for."""
    from mlflow.types.schema import ColSpec, Schema

    return Schema([ColSpec(_type(field.dataType), field.name, required=False) for field in struct.fields])


def _table(spark: SparkSession, place: Place, name: str, version: int) -> Dataset:
    table = tables.delta_table(spark, place)
    detail = table.detail().first()
    by_name = {"delta_table_name": place.table} if place.table else {"path": _place(place, detail["location"])}
    source = _source(delta_table_version=version, delta_table_id=detail["id"], **by_name)
    return _dataset(source, name, schema_of(table.toDF().schema))


def _source(**arguments: Any) -> DatasetSource:
    from mlflow.data.delta_dataset_source import DeltaDatasetSource

    class Versioned(DeltaDatasetSource):  # type: ignore[misc]
        """MLflow leaves out version 0, the one that most tables are first read at."""

        def to_dict(self) -> dict[Any, Any]:
            return {**super().to_dict(), "delta_table_version": self.delta_table_version}

    return Versioned(**arguments)


def _files(spark: SparkSession, definition: JobDefinition, run_id: str) -> Dataset:
    """Files have no version: the digest is the run's own, so that what two runs read is not taken for the same."""
    from mlflow.data.spark_dataset_source import SparkDatasetSource

    place = definition.source
    guessed = place.format in ("csv", "json") and place.ddl is None  # Spark would read the files for their columns
    schema = None if guessed else schema_of(tables.read_rows(spark, definition).schema)
    source = SparkDatasetSource(path=_place(place, place.path or ""))
    digest = hashlib.sha256(f"{source.to_json()} {run_id}".encode()).hexdigest()[:8]
    return _dataset(source, place.shown, schema, digest)


def _dataset(source: DatasetSource, name: str, schema: Schema | None, digest: str | None = None) -> Dataset:
    from mlflow.data.meta_dataset import MetaDataset

    return MetaDataset(source, name=name[:_NAME], schema=schema, digest=digest)


def _place(place: Place, location: str) -> str:
    """Where it lies, or as the definition has it where that holds a reference: its value is not for MLflow."""
    return place.shown if REFERENCE.search(place.shown) else location


def _type(of: DataType) -> Any:
    from mlflow.types.schema import AnyType, Array, Map, Object, Property
    from mlflow.types.schema import DataType as Scalar
    from pyspark.sql.types import ArrayType, MapType, StructType

    if isinstance(of, StructType):
        return Object([Property(field.name, _type(field.dataType), required=False) for field in of.fields])
    if isinstance(of, ArrayType):
        return Array(_type(of.elementType))
    if isinstance(of, MapType):
        return Map(_type(of.valueType))
    name = _TYPES.get(of.typeName())
    return Scalar[name] if name else AnyType()
