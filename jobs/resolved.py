"""A job whose model, source and sink were looked at: what plan, sample and run share. Runs on the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from jobs import columns, seeds, tables
from jobs.references import reveal
from jobs.session import check_classic
from jobs.tracking import traces
from udfs.columns import roles
from udfs.executors import executor_of, most_executors
from udfs.foreign import Sample
from udfs.scoring import PreparedModel, prepare

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
        most_tasks: that a commit is scored in; None before it is known how long its rows take.
    """

    definition: JobDefinition
    model: PreparedModel
    inputs: Mapping[str, str]
    columns: tuple[str, ...]
    sink_schema: StructType
    slots: int
    most_tasks: int | None = None


def resolve(spark: SparkSession, definition: JobDefinition) -> Resolved:
    """Pins the model and checks the columns of source and sink; no row is read.

    Args:
        spark: with Delta.
        definition: the job.

    Raises ModelError, ParameterError or DeviceError for what can't be computed or traced, SchemaError with every
    column that is missing or of the wrong type, RunError on Spark Connect.
    """
    check_classic(spark)
    rows = tables.read_source(spark, definition)
    model = prepare(
        spark,
        reveal(definition.model),
        task=definition.task,
        params=definition.params,
        compute=definition.compute_options(),
        weights_path=reveal(definition.compute.weights_path),
        allow_foreign_code=definition.allow_foreign_code,
        sample=Sample(
            rows=rows, input=definition.source.inputs, before=partial(tables.output_before, spark, definition)
        ),
    )
    traces.check(definition, model.task)
    schema = columns.check(spark, definition, model, rows.schema)
    request = definition.request(model.task, schema=model.schema)
    inputs = roles(model.task, request.inputs, model.schema)
    return Resolved(
        definition=definition,
        model=seeds.by_key(model, inputs),
        inputs=inputs,
        columns=request.columns,
        sink_schema=schema,
        slots=_slots(spark, model),
    )


def _slots(spark: SparkSession, model: PreparedModel) -> int:
    context = spark.sparkContext
    cores = int(context.defaultParallelism)
    if model.placement is not None and model.placement.value.scheduled:
        executor = executor_of(spark, model.compute.executor)
        at_once = model.placement.value.at_once(executor)
        if model.compute.executor is not None:
            return most_executors(spark) * (at_once or 1)
        if at_once is not None and executor.cores:
            return max(1, cores // executor.cores * at_once)
    return max(1, cores // int(context.getConf().get("spark.task.cpus", "1") or 1))
