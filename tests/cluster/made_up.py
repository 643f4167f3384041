"""GPUs that are made up: what a worker does where it believes that it sees two, and tells where it worked."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine import moving
from engine.batching import Index
from engine.device import Gpu, Hardware
from engine.models.manifest import Manifest
from engine.scorer import Scored
from engine.tasks import Task
from engine.tasks.base import Encoded
from tests.fakes import FakeTask
from udfs import worker
from udfs.scoring import PreparedModel
from udfs.worker import Descriptor, task_resources

HARDWARE: Final = Hardware(cores=4, memory=8 << 30, gpus=(Gpu("made up", (8, 0), 24 << 30),) * 2)
#: What ``tell`` gives.
TOLD: Final = "executor INT, worker INT, addresses ARRAY<STRING>, cpus INT, start DOUBLE, end DOUBLE"

#: How often this worker gave its models up.
_releases: list[str] = []


def tell(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """What Spark gave the task, and when it ran; it runs long enough to have others beside it."""
    for _ in batches:
        pass
    start = time.time()
    time.sleep(0.5)
    cpus, addresses = task_resources()
    # Workers are forked from a daemon, of which an executor has one.
    row = {"executor": os.getppid(), "worker": os.getpid(), "addresses": list(addresses), "cpus": cpus}
    yield pa.RecordBatch.from_pylist(
        [{**row, "start": start, "end": time.time()}],
        pa.schema(
            [
                ("executor", pa.int32()),
                ("worker", pa.int32()),
                ("addresses", pa.list_(pa.string())),
                ("cpus", pa.int32()),
                ("start", pa.float64()),
                ("end", pa.float64()),
            ]
        ),
    )


class Telling(FakeTask):
    """Its label says where it was scored. The first GPU is the slower one."""

    def __init__(self, where: Mapping[str, Any]) -> None:
        super().__init__()
        self.where = where

    def forward(self, encoded: Encoded, items: Index) -> np.ndarray:
        time.sleep(0.6 if self.where["devices"] == ["cuda:0"] else 0.2)
        return super().forward(encoded, items)

    def decode(self, encoded: Encoded, rows: Index, outputs: np.ndarray, params: Any) -> pa.StructArray:
        labels = [json.dumps(self.where)] * encoded.rows
        return super().decode(replace(encoded, data=labels), rows, outputs, params)


@dataclass(frozen=True)
class MadeUp(Descriptor):
    """Scores on GPUs that are made up: chooses among them, moves to them, and loads nothing."""

    def score(self, batches: Iterable[Any]) -> Iterator[Scored]:
        worker.detect = lambda: HARDWARE  # type: ignore[attr-defined]
        worker._use_threads = lambda threads: None
        moving._select = lambda device: None
        moving.release = lambda: _releases.append(moving._devices[0])
        return super().score(batches)

    def _task(self, devices: tuple[str, ...]) -> tuple[Task, Any]:
        cpus, addresses = task_resources()
        where = {
            "devices": list(devices),
            "addresses": list(addresses),
            "worker": os.getpid(),
            "releases": len(_releases),
            "cpus": cpus,
        }
        return Telling(where), Manifest.read(self.weights.folder())


class MadeUpModel(PreparedModel):
    """A prepared model that is scored by ``MadeUp``."""

    def descriptor(self, inputs: Mapping[str, str]) -> Descriptor:
        own = super().descriptor(inputs)
        return MadeUp(**{field.name: getattr(own, field.name) for field in fields(own)})


def made_up(model: PreparedModel) -> MadeUpModel:
    """The same model on GPUs that are made up."""
    return MadeUpModel(**{field.name: getattr(model, field.name) for field in fields(model)})
