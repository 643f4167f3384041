"""What the workers of a query have answered so far, so that a row is scored once however often Spark asks for it.

Spark evaluates a function as often as its optimizer unfolds it. Two fields of one call are two calls in one worker. The
same call in SELECT, WHERE and ORDER BY is three workers of one task, each reading what the one before it let through.
An ORDER BY reads everything twice, once to find the bounds of its partitions, and so does a MERGE. So answers lie where
all workers of an executor see them, in Spark's own local folder, which Spark removes:

    <local folder>/embercast/<function>-<query>-<batch>-<task>-<time>-<process>.arrow

holds the digests of a batch's rows and their answers; inputs are not kept. Files are mapped: a worker holds none of
them in memory. Runs on the executor.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.batching import Index
from engine.distinct import row_digests

log = logging.getLogger("embercast")

#: Bytes and files that an executor keeps; the oldest go first, and rows whose answers went are scored again.
_BYTES: Final = 256 << 20
_FILES: Final = 1024
#: Files of its own task that a batch's rows are looked up in, newest first.
_RECENT: Final = 64
_QUERY: Final = ("spark.sql.execution.root.id", "spark.sql.execution.id")


class _Kept(NamedTuple):
    """A file, by what its name says."""

    time: int
    name: str
    batch: str
    task: str


@dataclass(frozen=True, kw_only=True)
class Memo:
    """The answers of one function in one query.

    Args:
        folder: that all workers of the executor share.
        function: names all that its answers depend on beside the columns.
        query: of which answers are good for each other.
        task: the running attempt of a task, whose workers see subsets of each other's batches.
    """

    folder: Path
    function: str
    query: str
    task: str

    @classmethod
    def of_task(cls, function: str) -> Memo | None:
        """The memo of the running task; None outside Spark, where nothing evaluates a function twice."""
        folders = os.environ.get("SPARK_LOCAL_DIRS")
        if not folders or "pyspark" not in sys.modules:
            return None
        from pyspark import TaskContext

        context = TaskContext.get()
        if context is None:
            return None
        task = str(context.taskAttemptId())
        named = filter(None, map(context.getLocalProperty, _QUERY))
        folder = Path(folders.split(",")[0]) / "embercast"
        return cls(folder=folder, function=function, query=next(named, f"t{task}"), task=task)

    def answers(self, batch: pa.RecordBatch, score: Callable[[pa.RecordBatch], pa.StructArray]) -> pa.StructArray:
        """The answer of each row; ``score`` is asked for the rows that are not answered yet."""
        keys = row_digests(batch)
        kept = self._kept()
        again = next((one for one in kept if one.batch == _named(keys)), None)
        known = self._read(again) if again is not None else None
        if again is not None and known is not None:
            self._lend(again)
            return known.column("answer")
        own = [one for one in kept if one.task == self.task]
        return self._by_row(batch, keys, filter(None, map(self._read, own[:_RECENT])), score)

    def _by_row(
        self,
        batch: pa.RecordBatch,
        keys: pa.Array,
        kept: Iterable[pa.RecordBatch],
        score: Callable[[pa.RecordBatch], pa.StructArray],
    ) -> pa.StructArray:
        parts: list[pa.StructArray] = []
        rows: list[Index] = []
        missing = np.arange(batch.num_rows)
        for known in kept:
            at = pc.index_in(keys.take(pa.array(missing)), value_set=known.column("key")).fill_null(-1).to_numpy()
            parts.append(known.column("answer").take(pa.array(at[at >= 0])))
            rows.append(missing[at >= 0])
            missing = missing[at < 0]
            if not missing.size:
                break
        if missing.size:
            some = pa.array(missing)
            scored = score(batch.take(some) if parts else batch)
            self._keep(keys.take(some), scored)
            parts.append(scored)
            rows.append(missing)
        return pa.concat_arrays(parts).take(pa.array(np.argsort(np.concatenate(rows)))) if len(parts) > 1 else parts[0]

    def _kept(self) -> list[_Kept]:
        """The files of this function and query, newest first."""
        if not self.folder.is_dir():
            return []
        found = []
        for name in os.listdir(self.folder):
            function, query, batch, task, written, _ = name.split("-")
            if (function, query) == (self.function, self.query) and name.endswith(".arrow"):
                found.append(_Kept(int(written), name, batch, task))
        return sorted(found, reverse=True)

    def _read(self, kept: _Kept) -> pa.RecordBatch | None:
        try:
            return pa.ipc.open_file(pa.memory_map(str(self.folder / kept.name))).get_batch(0)
        except FileNotFoundError:  # it made room for a newer one
            return None

    def _lend(self, kept: _Kept) -> None:
        """Another task's answers, to the workers of this one too."""
        if kept.task == self.task:
            return
        try:
            os.link(self.folder / kept.name, self._file(kept.batch))
        except FileNotFoundError:  # as above
            return
        except OSError as error:  # not every disk has hard links
            log.warning("answers are not lent to other evaluations of this query: %s", error)

    def _keep(self, keys: pa.Array, answers: pa.StructArray) -> None:
        if answers.nbytes > _BYTES // 4:  # it would push out what other tasks need
            return
        path = self._file(_named(keys))
        unfinished = path.with_suffix(".part")
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            batch = pa.RecordBatch.from_arrays([keys, answers], names=["key", "answer"])
            with pa.OSFile(str(unfinished), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
                writer.write_batch(batch)
            unfinished.rename(path)
            _make_room(self.folder)
        except OSError as error:  # a full disk costs time, not the task
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)  # what was written of it would keep the disk full
            log.warning("answers are not kept for other evaluations of this query: %s", error)

    def _file(self, batch: str) -> Path:
        name = "-".join([self.function, self.query, batch, self.task, str(time.time_ns()), f"{os.getpid()}.arrow"])
        return self.folder / name


def _named(keys: pa.Array) -> str:
    """The name of a batch, by the digests of its rows."""
    return hashlib.blake2b(b"".join(keys.to_pylist()), digest_size=16).hexdigest()


def _make_room(folder: Path) -> None:
    """Removes the oldest files beyond the bounds."""
    held = 0
    newest_first = sorted(os.listdir(folder), key=lambda name: int(name.split("-")[4]), reverse=True)
    for place, name in enumerate(newest_first):
        with suppress(FileNotFoundError):  # another worker made room
            held += (folder / name).stat().st_size
            if held > _BYTES or place >= _FILES:
                (folder / name).unlink()
