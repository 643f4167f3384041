"""Scoring in a process apart, for a task that was tried before: a row that ends the process ends that one alone.

A worker that dies takes its whole task with it, and Spark tries that again: four times, all of which a row that kills
its worker would kill. So from the second time on the worker itself runs no model. It hands rows to a process apart, and
where that dies among many it hands them over one by one: a row on which it dies alone too gets an error, and an equal
one is not tried again. Runs on the executor.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any, Final, Self

import pyarrow as pa

from engine.batching import windows
from engine.device import choose_device, choose_threads, detect
from engine.distinct import row_digests
from engine.errors import DeviceError, EmbercastError, RowError
from engine.moving import release
from engine.results import failed
from engine.schema import TaskSchema, schema_of
from engine.scorer import Scored
from engine.stats import Stats
from udfs.weights import LocalWeights
from udfs.worker import Descriptor, task_resources

log = logging.getLogger("embercast")

#: Rows that are handed over at once: as many are scored one by one where the process dies among them.
ROWS: Final = 256
#: Rows of one task that may kill: more of them are no rows' fault.
MOST: Final = 16


class Died(Exception):
    """The process apart ended before it answered."""


class Process:
    """A process that scores with a descriptor; one that died is started anew.

    Args:
        descriptor: with weights that lie on this host, and its device and threads chosen.
    """

    def __init__(self, descriptor: Descriptor) -> None:
        self.descriptor = descriptor
        self._pipe: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def score(self, rows: pa.RecordBatch) -> list[Scored]:
        """Raises Died where the process ends meanwhile, DeviceError where it can't load the model."""
        pipe = self._pipe or self._start()
        try:
            pipe.send(rows)
            answer = pipe.recv()
        except (EOFError, OSError):
            raise Died(self._end()) from None
        if isinstance(answer, Exception):
            raise answer
        scored, start = [], 0
        for result, stats in answer:
            scored.append(Scored(rows.slice(start, len(result)), result, stats))
            start += len(result)
        return scored

    def _start(self) -> Connection:
        from pyspark.cloudpickle import dumps  # as Spark sends it: with classes that no module has

        context = multiprocessing.get_context("spawn")  # what torch and CUDA have begun does not live through a fork
        pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(dumps(self.descriptor), other), daemon=True)
        self._process.start()
        self._pipe = pipe
        other.close()
        try:
            ready = self._pipe.recv()
        except EOFError:
            raise DeviceError(
                f"expected a process apart to load {self.descriptor.task}'s model, it {self._end()} before it had: "
                "see the executor's log, and give the executors more memory"
            ) from None
        if isinstance(ready, Exception):
            raise ready
        return self._pipe

    def _end(self) -> str:
        """How it ended."""
        if self._pipe is None:
            return "never began"
        self._pipe.close()
        self._pipe = None
        self._process.join(1)  # one that is idle sees that nobody is there
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        code = self._process.exitcode or 0
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"


@dataclass
class Isolation:
    """Scores rows apart and knows which of them kill.

    Args:
        process: that scores.
        schema: of its structs.
        columns: that it reads of a row.
    """

    process: Process
    schema: TaskSchema
    columns: tuple[str, ...]
    killers: dict[bytes, RowError] = field(default_factory=dict)

    def score(self, rows: pa.RecordBatch) -> Iterator[Scored]:
        """As many rows as came, in order."""
        try:
            yield from self.process.score(rows)
            return
        except Died as death:
            log.warning("the process apart %s among %d rows: they are scored one by one", death, rows.num_rows)
        for at in range(rows.num_rows):
            yield from self._alone(rows.slice(at, 1))

    def _alone(self, row: pa.RecordBatch) -> list[Scored]:
        content = row_digests(row.select(list(self.columns)))[0].as_py()
        if content not in self.killers:
            try:
                return self.process.score(row)
            except Died as death:
                self._keep(content, str(death))
        return [Scored(row, failed(self.schema, {0: self.killers[content]}), Stats(rows=1, failed=1))]

    def _keep(self, content: bytes, how: str) -> None:
        if len(self.killers) == MOST:
            raise DeviceError(
                f"expected at most {MOST} rows of a task that kill the process which scores them, here are more: the "
                f"last one {how}. That is no row's fault: see the executor's log, and give the executors more memory"
            )
        self.killers[content] = RowError(
            "worker_killed",
            f"the process that scored this row {how}, among other rows and alone; content {content.hex()} is not "
            "tried again. Leave the row out, or mend what it is scored with",
        )


def score(descriptor: Descriptor, batches: Iterable[pa.RecordBatch]) -> Iterator[Scored]:
    """What ``Descriptor.score`` gives, by a process apart, in windows of at most ``ROWS`` rows.

    Raises DeviceError where the process can't load the model, or more rows than ``MOST`` kill it.
    """
    log.warning("a task that was tried before: its rows are scored in a process apart")
    release()  # a worker that scored other tasks may hold a model, whose place the process apart needs
    compute, schema = descriptor.compute, descriptor.pinned or schema_of(descriptor.task)
    with Process(_here(descriptor)) as process:
        isolation = Isolation(process, schema, descriptor.request.columns)
        for rows in windows(batches, rows=min(ROWS, compute.window_rows), nbytes=compute.window_bytes):
            yield from isolation.score(rows)


def _here(descriptor: Descriptor) -> Descriptor:
    """What only a task knows, decided: the process apart is none."""
    hardware, (cpus, addresses) = detect(), task_resources()
    os.environ["HF_HUB_OFFLINE"] = "1"
    compute = replace(
        descriptor.compute,
        threads=choose_threads(descriptor.compute.threads, hardware, task_cpus=cpus).value,
        device=choose_device(descriptor.compute.device, hardware, address=next(iter(addresses), None)).value,
    )
    devices = descriptor.devices_of(compute.device, addresses, hardware)
    return replace(descriptor, compute=compute, weights=LocalWeights(descriptor.weights.folder()), devices=devices)


def _serve(pickled: bytes, pipe: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answer: Any = None
    try:
        descriptor: Descriptor = pickle.loads(pickled)
        for _ in descriptor.score([]):  # loads the model
            pass
    except Exception as error:
        answer = _told(error)
    pipe.send(answer)
    while True:
        try:
            rows = pipe.recv()
        except EOFError:
            return
        try:
            answer = [(scored.result, scored.stats) for scored in descriptor.score([rows])]
        except Exception as error:
            answer = _told(error)
        pipe.send(answer)


def _told(error: Exception) -> Exception:
    """An error that can travel; one of others may quote a row, and its class may not be known there."""
    return error if isinstance(error, EmbercastError) else RuntimeError(f"{type(error).__name__} in a process apart")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # amid a batch, too: nobody waits for it
