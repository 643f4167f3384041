"""The ways without Spark, in one process with all threads or in one process a core: equal shares, one wall clock."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

from benchmarks.text.alone import EngineAlone
from benchmarks.text.reference import Reference
from benchmarks.text.spec import Spec
from benchmarks.text.texts import tokens_of

#: Name of a way → what each process runs.
WAYS: Final[dict[str, Callable[..., Any]]] = {"reference": Reference, "engine-alone": EngineAlone}


class Team:
    """Processes that wait for a word and score their shares at once."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        texts = spec.read_texts()
        self.shares = deal(texts, spec.processes)
        context = multiprocessing.get_context("spawn")
        self.pipes: list[Connection] = []
        self.members = []
        start = time.perf_counter()
        for share in self.shares:
            here, there = context.Pipe()
            run = (there, spec, [texts[i] for i in share])
            self.members.append(context.Process(target=_member, args=run, daemon=True))
            self.members[-1].start()
            there.close()  # so that a member's death is seen here as the end of its pipe
            self.pipes.append(here)
        self._hear()  # each says when its model is loaded
        self.load_s = time.perf_counter() - start

    def cold(self) -> dict[str, Any]:
        """Scores the first rows. Returns their labels by row, and the seconds from nothing until then."""
        start = time.perf_counter()
        labels = self._score(self.spec.cold_rows)
        return {"cold_s": self.load_s + time.perf_counter() - start, "answers": labels}

    def ready(self) -> None:
        """Nothing dies here of waiting."""

    def run(self) -> None:
        """Scores all rows."""
        self._score(self.spec.rows)

    def facts(self) -> dict[str, Any]:
        """The first process's own facts, and the memory of all."""
        told = self._ask("facts")
        memory = {f"{kind}_gb": sum(one.pop(kind) for one in told) / 2**30 for kind in ("host_bytes", "device_bytes")}
        return {**told[0], **{name.replace("_bytes", ""): round(value, 3) for name, value in memory.items()}}

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.send(None)
        for member in self.members:
            member.join()

    def _score(self, rows: int) -> dict[int, str]:
        counts = [sum(i < rows for i in share) for share in self.shares]
        for pipe, count in zip(self.pipes, counts, strict=True):
            pipe.send(count)
        told = self._hear()
        pairs = (
            zip(share[:n], labels, strict=True) for share, n, labels in zip(self.shares, counts, told, strict=True)
        )
        return {i: label for share in pairs for i, label in share}

    def _ask(self, word: str) -> list[Any]:
        for pipe in self.pipes:
            pipe.send(word)
        return self._hear()

    def _hear(self) -> list[Any]:
        return [pipe.recv() for pipe in self.pipes]


def deal(texts: list[str], processes: int) -> list[list[int]]:
    """Rows of each process, ascending: dealt out by length, so that all have the same work."""
    by_length = sorted(range(len(texts)), key=lambda i: tokens_of(texts[i]))
    return [sorted(by_length[first::processes]) for first in range(processes)]


def _member(pipe: Connection, spec: Spec, texts: list[str]) -> None:
    threads = max(1, spec.cores // spec.processes)
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)
    runner = WAYS[spec.way](spec, texts, dtype=_dtype(spec))
    pipe.send(None)
    while (word := pipe.recv()) is not None:
        if word == "facts":
            pipe.send({**runner.facts(), **_memory()})
        else:
            pipe.send(runner(word) if word else [])  # of few texts, some have none


def _dtype(spec: Spec) -> str:
    from engine.device import choose_dtype, detect

    return choose_dtype(spec.dtype, detect(), spec.device).value


def _memory() -> dict[str, int]:
    import resource

    import torch

    device = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return {"host_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "device_bytes": device}
