"""A job whose model, source and sink were looked at: what plan, sample and run share. Runs on the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs import columns, tables
from jobs.references import reveal
from udfs.scoring import PreparedModel, prepare, roles

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

    from jobs.definition import JobDefinition


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A job that can run: its model pinned and shipped, its columns there.

    Args:
        inputs: input role → column.
        columns: of the source, that scoring reads.
        sink_schema: of the rows that it writes.
        slots: tasks that the cluster runs at once.
    """

    definition: JobDefinition
    model: PreparedModel
    inputs: Mapping[str, str]
    columns: tuple[str, ...]
    sink_schema: StructType
    slots: int


def resolve(spark: SparkSession, definition: JobDefinition) -> Resolved:
    """Pins the model and checks the columns of source and sink; no row is read.

    Args:
        spark: with Delta.
        definition: the job.

    Raises ModelError, ParameterError or DeviceError for what can't be computed, SchemaError with every column that is
    missing or of the wrong type.
    """
    source = tables.read_source(spark, definition).schema
    model = prepare(
        spark,
        reveal(definition.model),
        task=definition.task,
        params=definition.params,
        compute=definition.compute_options(),
        weights_path=reveal(definition.compute.weights_path),
    )
    schema = columns.check(spark, definition, model.task, source)
    request = definition.request(model.task)
    return Resolved(
        definition=definition,
        model=model,
        inputs=roles(model.task, request.inputs),
        columns=request.columns,
        sink_schema=schema,
        slots=_slots(spark),
    )


def _slots(spark: SparkSession) -> int:
    context = spark.sparkContext
    return max(1, int(context.defaultParallelism) // int(context.getConf().get("spark.task.cpus", "1") or 1))
