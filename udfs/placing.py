"""How a prepared model lies on the executors' GPUs: what the decision needs to know. Runs on the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.device import Choice, Hardware
from engine.footprint import Footprint
from engine.models.bundle import Bundle
from engine.options import Compute
from engine.placement import Placement, place
from engine.tasks import task_class
from udfs.executors import bytes_of, executor_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def placed(
    spark: SparkSession,
    bundle: Bundle,
    compute: Compute,
    hardware: Hardware,
    *,
    task: str,
    backend: str | None,
    table: DataFrame | None,
) -> Choice[Placement]:
    """A bundle's place on GPUs that executors have; ``table`` has the rows to score, where that is known.

    Raises what ``engine.placement.place`` raises.
    """
    of = task_class(task)
    footprint = Footprint(
        weights=bundle.manifest.weight_bytes,
        hidden=bundle.manifest.hidden,
        writes=bool(of.backends),
        vllm=backend == "vllm",
        spreads=of.spreads,
    )
    table_bytes = None if table is None else bytes_of(table)
    return place(footprint, compute, hardware, executor_of(spark, compute.executor), table_bytes=table_bytes)
