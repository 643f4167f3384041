"""A placement as Spark's resource profile: what each task of the stage that scores asks for. Runs on the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from engine.options import ExecutorRequest
from engine.placement import Placement

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Spark takes two profiles that ask for the same for different ones, and refuses a stage that has both.
_MADE: WeakKeyDictionary[Any, dict[tuple[int | None, float, ExecutorRequest | None], Any]] = WeakKeyDictionary()


def profile_of(spark: SparkSession, placement: Placement | None, request: ExecutorRequest | None = None) -> Any:
    """A ``pyspark.resource.ResourceProfile``; one that asks for the same is the same one.

    Without a request it asks for tasks alone, so that the session's executors run it. None without a placement, and
    where Spark hands out no GPUs.
    """
    if placement is None or not placement.scheduled:
        return None
    made = _MADE.setdefault(spark, {})
    key = (placement.cpus, placement.gpu_amount, request)
    if key not in made:
        made[key] = _make(placement, request)
    return made[key]


def _make(placement: Placement, request: ExecutorRequest | None) -> Any:
    from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

    asked = TaskResourceRequests().resource("gpu", placement.gpu_amount)
    if placement.cpus is not None:
        asked = asked.cpus(placement.cpus)
    builder = ResourceProfileBuilder().require(asked)
    return (builder if request is None else builder.require(_executors(request))).build


def _executors(request: ExecutorRequest) -> Any:
    from pyspark.resource import ExecutorResourceRequests

    asked = ExecutorResourceRequests().cores(request.cores)
    asked = asked.resource("gpu", request.gpus, request.discovery_script, request.vendor)
    if request.memory is not None:
        asked = asked.memory(request.memory)
    return asked if request.memory_overhead is None else asked.memoryOverhead(request.memory_overhead)
