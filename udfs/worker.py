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
from engine.device import choose_batch_tokens, choose_device, choose_threads, detect
from engine.generation.choice import check_backend
from engine.models.load import load
from engine.models.manifest import Manifest
from engine.options import Compute, Request
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
        cpus, address = task_resources()
        if cpus is not None:  # a notebook's own process may ask its hub afterwards
            os.environ["HF_HUB_OFFLINE"] = "1"  # executors ask none; read when transformers is imported
        threads = choose_threads(self.compute.threads, hardware, task_cpus=cpus)
        device = choose_device(self.compute.device, hardware, address=address)
        check_backend(self.backend, hardware, device.value)
        _use_threads(threads.value)
        task, manifest = self._task(device.value)
        batch_tokens = choose_batch_tokens(
            self.compute.batch_tokens,
            hardware,
            device.value,
            hidden=manifest.hidden,
            weight_bytes=manifest.weight_bytes,
        )
        written = f"texts by {self.backend}, " if self.backend else ""
        _log_once(f"device {device}, {manifest.dtype}, {written}threads {threads}, batch_tokens {batch_tokens}")
        return Scorer(task, self.request, batch_tokens=batch_tokens.value, compute=self.compute)

    def _task(self, device: str) -> tuple[Task, Manifest]:
        folder = self.weights.folder()
        if self.pinned is not None:
            made = foreign.task(self.task, folder, device, self.pinned)
            return made, made.manifest
        loaded = load(folder, device, self.backend or "transformers")
        task = task_class(self.task)(loaded)
        task.storage, task.known_as = self.storage, self.known_as
        return task, loaded.manifest


def task_resources() -> tuple[int | None, str | None]:
    """The CPUs and the GPU address that Spark gave to the running task; None where there is no task or no GPU."""
    if "pyspark" not in sys.modules:  # a server of MLflow's has neither
        return None, None
    from pyspark import TaskContext

    context = TaskContext.get()
    if context is None:
        return None, None
    gpu = context.resources().get("gpu")
    return context.cpus(), gpu.addresses[0] if gpu is not None else None


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
