"""What the executors' workers see, asked with one small task and remembered for the session."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pyarrow as pa

from engine.device import Hardware, detect
from engine.options import ExecutorRequest
from engine.placement import Placement
from udfs.executors import check_allocates
from udfs.profile import profile_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_KNOWN: WeakKeyDictionary[Any, dict[ExecutorRequest | None, Hardware]] = WeakKeyDictionary()


def probe(spark: SparkSession, request: ExecutorRequest | None = None) -> Hardware:
    """The hardware of one executor, where the model will run. Runs on the driver; starts one task the first time.

    With a request, of an executor that Spark starts for it; raises ParameterError where Spark starts none.
    """
    if request is not None:
        check_allocates(spark)
    known = _KNOWN.setdefault(spark, {})
    if request not in known:
        profile = None if request is None else profile_of(spark, Placement(), request)
        row = spark.range(1, numPartitions=1).mapInArrow(_detect, "hardware BINARY", profile=profile).first()
        known[request] = pickle.loads(row["hardware"])
    return known[request]


def _detect(batches: Iterator[Any]) -> Iterator[Any]:
    for batch in batches:
        if batch.num_rows:
            yield pa.record_batch({"hardware": pa.array([pickle.dumps(detect())], pa.binary())})
