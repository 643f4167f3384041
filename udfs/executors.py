"""What Spark gives its executors, by the session's configuration. Runs on the driver, asks no executor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.footprint import Executor
from udfs.connect import is_connect

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def executor_of(spark: SparkSession) -> Executor:
    """Cores and GPUs of one executor. In local mode there is one, to which Spark hands out no GPU."""
    cores, gpus = (spark.conf.get(f"spark.executor.{name}", None) for name in ("cores", "resource.gpu.amount"))
    context = _context(spark)
    if context is not None and context.master.split("[")[0] == "local":
        return Executor(cores=int(context.defaultParallelism), gpus=0)
    return Executor(cores=int(cores) if cores else _cores(context), gpus=int(gpus or 0))


def bytes_of(rows: DataFrame) -> int | None:
    """What Spark's optimizer takes a table for, of its files' sizes; no row is read. None on Spark Connect."""
    plan = getattr(rows, "_jdf", None)
    return None if plan is None else int(str(plan.queryExecution().optimizedPlan().stats().sizeInBytes()))


def _cores(context: Any) -> int | None:
    """Of one executor, where the configuration does not say: a standalone one has all of its worker."""
    if context is None:
        return None
    executors = int(context._jsc.sc().getExecutorMemoryStatus().size()) - 1  # the driver is among them
    return int(context.defaultParallelism) // executors if executors > 0 else None


def _context(spark: SparkSession) -> Any:
    """None on Spark Connect, which has none."""
    return None if is_connect(spark) else spark.sparkContext
