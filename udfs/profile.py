"""A placement as Spark's resource profile: what each task of the stage that scores asks for. Runs on the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from engine.placement import Placement

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Spark takes two profiles that ask for the same for different ones, and refuses a stage that has both.
_MADE: WeakKeyDictionary[Any, dict[tuple[int | None, float], Any]] = WeakKeyDictionary()


def profile_of(spark: SparkSession, placement: Placement | None) -> Any:
    """A ``pyspark.resource.ResourceProfile`` of task requests alone, so that the session's executors run it.

    None without a placement, and where Spark hands out no GPUs. One that asks for the same is the same one.
    """
    if placement is None or not placement.scheduled:
        return None
    made = _MADE.setdefault(spark, {})
    key = (placement.cpus, placement.gpu_amount)
    if key not in made:
        made[key] = _make(placement)
    return made[key]


def _make(placement: Placement) -> Any:
    from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

    asked = TaskResourceRequests().resource("gpu", placement.gpu_amount)
    if placement.cpus is not None:
        asked = asked.cpus(placement.cpus)
    return ResourceProfileBuilder().require(asked).build
