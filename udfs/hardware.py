"""What the executors' workers see, asked with one small task and remembered for the session."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pyarrow as pa

from engine.device import Hardware, detect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_KNOWN: WeakKeyDictionary[Any, Hardware] = WeakKeyDictionary()


def probe(spark: SparkSession) -> Hardware:
    """The hardware of one executor, where the model will run. Runs on the driver; starts one task the first time."""
    if spark not in _KNOWN:
        row = spark.range(1, numPartitions=1).mapInArrow(_detect, "hardware BINARY").first()
        _KNOWN[spark] = pickle.loads(row["hardware"])
    return _KNOWN[spark]


def _detect(batches: Iterator[Any]) -> Iterator[Any]:
    for batch in batches:
        if batch.num_rows:
            yield pa.record_batch({"hardware": pa.array([pickle.dumps(detect())], pa.binary())})
