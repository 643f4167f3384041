"""What Spark gives its executors, by its configuration or by request. Runs on the driver, asks no executor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import ParameterError
from engine.footprint import Executor
from engine.options import ExecutorRequest
from udfs.connect import is_connect

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def check_allocates(spark: SparkSession) -> None:
    """Raises ParameterError where Spark starts no executors while a job runs."""
    if spark.conf.get("spark.dynamicAllocation.enabled", None) != "true":
        raise ParameterError(
            "expected spark.dynamicAllocation.enabled=true, without which Spark starts no executors for a stage: start "
            "the session with it, or give its own executors GPUs (spark.executor.resource.gpu.amount) and leave "
            "compute.executor out"
        )


def most_executors(spark: SparkSession) -> int:
    """How many Spark may start for a stage; 1 where nothing bounds them."""
    return max(1, int(spark.conf.get("spark.dynamicAllocation.maxExecutors", None) or 1))


def executor_of(spark: SparkSession, request: ExecutorRequest | None = None) -> Executor:
    """Cores and GPUs of one executor. In local mode there is one, to which Spark hands out no GPU."""
    if request is not None:
        return Executor(cores=request.cores, gpus=request.gpus)
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
