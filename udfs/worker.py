"""What travels to the workers, and the scorer each makes from it."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from engine.audio.storage import Storage
from engine.device import Hardware, choose_device, choose_threads, detect
from engine.generation.choice import check_backend
from engine.models.load import load
from engine.models.manifest import Manifest
from engine.models.spread import Spread
from engine.moving import move
from engine.options import Compute, Request
from engine.placement import Placement, tokens_beside
from engine.schema import TaskSchema
from engine.scorer import Scored, Scorer
from engine.tasks import Task, task_class
from udfs import foreign
from udfs.weights import Weights

log = logging.getLogger("embercast")


@dataclass(frozen=True)
class Descriptor:
    """A scorer's description: small, picklable, made on the driver. ``score`` runs in the worker."""

    task: str
    request: Request
    compute: Compute
    weights: Weights
    #: Of a model outside the task table; None where the table has it.
    pinned: TaskSchema | None = None
    #: How object stores that rows name are reached.
    storage: Storage = field(default_factory=Storage)
    #: What writes the texts, as the driver chose; None for a task that writes none.
    backend: str | None = None
    #: What the model is called in answers that name it.
    known_as: str = ""
    #: How the model lies on GPUs, as the driver chose; None on a CPU.
    placement: Placement | None = None
    #: Of a process that is no task, chosen by the task that started it; empty lets it choose.
    devices: tuple[str, ...] = ()

    def score(self, batches: Iterable[Any]) -> Iterator[Scored]:
        """Scores Arrow batches; the first window's stats carry the seconds until the model was ready."""
        start = time.perf_counter()
        scorer = self._scorer()
        load_s = time.perf_counter() - start
        for scored in scorer.score(batches):
            scored.stats.load_s, load_s = load_s, 0.0
            yield scored

    def _scorer(self) -> Scorer:
        hardware = detect()
        cpus, addresses = task_resources()
        if cpus is not None:  # a notebook's own process may ask its hub afterwards
            os.environ["HF_HUB_OFFLINE"] = "1"  # executors ask none; read when transformers is imported
        threads = choose_threads(self.compute.threads, hardware, task_cpus=cpus)
        device = choose_device(self.compute.device, hardware, address=next(iter(addresses), None))
        check_backend(self.backend, hardware, device.value)
        devices = self.devices or self.devices_of(device.value, addresses, hardware)
        move(devices)
        _use_threads(threads.value)
        task, manifest = self._task(devices)
        batch_tokens = tokens_beside(
            self.placement,
            self.compute.batch_tokens,
            hardware,
            device.value,
            hidden=manifest.hidden,
            weight_bytes=manifest.weight_bytes,
        )
        written = f"texts by {self.backend}, " if self.backend else ""
        lies = "" if self.placement is None else f" ({self.placement})"
        _log_once(f"device {device}{lies}, {manifest.dtype}, {written}threads {threads}, batch_tokens {batch_tokens}")
        return Scorer(task, self.request, batch_tokens=batch_tokens.value, compute=self.compute)

    def devices_of(self, first: str, addresses: tuple[str, ...], hardware: Hardware) -> tuple[str, ...]:
        """The devices of the running task, of which ``first`` was chosen for it."""
        if self.placement is None or first == "cpu":
            return (first,)
        return self.placement.devices(first, addresses, hardware)

    def _task(self, devices: tuple[str, ...]) -> tuple[Task, Manifest]:
        folder = self.weights.folder()
        if self.pinned is not None:
            made = foreign.task(self.task, folder, devices[0], self.pinned)
            return made, made.manifest
        spread = None
        if self.placement is not None and self.placement.spread:
            spread = Spread(devices, self.placement.room, self.placement.offload)
        loaded = load(folder, devices[0], self.backend or "transformers", spread)
        task = task_class(self.task)(loaded)
        task.storage, task.known_as = self.storage, self.known_as
        return task, loaded.manifest


def task_resources() -> tuple[int | None, tuple[str, ...]]:
    """The CPUs and the GPUs' addresses that Spark gave to the running task; None, and none, where there is no task."""
    if "pyspark" not in sys.modules:  # a server of MLflow's has neither
        return None, ()
    from pyspark import TaskContext

    context = TaskContext.get()
    if context is None:
        return None, ()
    gpu = context.resources().get("gpu")
    return context.cpus(), () if gpu is None else tuple(gpu.addresses)


def attempt() -> int:
    """How often the running task was tried before; 0 where there is no task."""
    if "pyspark" not in sys.modules:
        return 0
    from pyspark import TaskContext

    context = TaskContext.get()
    return 0 if context is None else int(context.attemptNumber())


def _use_threads(threads: int) -> None:
    import torch

    os.environ["RAYON_NUM_THREADS"] = str(threads)  # the tokenizer's threads, read when it is first used
    torch.set_num_threads(threads)


@lru_cache(maxsize=8)
def _log_once(choices: str) -> None:
    log.info("embercast scores on %s", choices)
