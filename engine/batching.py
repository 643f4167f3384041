"""From batches to windows, from windows to micro-batches, and back in order.

A window is what is sorted and deduplicated together; it bounds the memory. A micro-batch is what the device sees at
once. Between the stages travel Arrow batches and NumPy index arrays, never rows. Runs on the executor.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.errors import DeviceError, RowError, non_finite

log = logging.getLogger(__name__)

T = TypeVar("T")
Index: TypeAlias = npt.NDArray[np.int64]
Failures: TypeAlias = dict[int, RowError]


def windows(batches: Iterable[pa.RecordBatch], *, rows: int, nbytes: int) -> Iterator[pa.RecordBatch]:
    """Re-cuts batches into windows of at most ``rows`` rows and about ``nbytes`` bytes; rows and order are kept.

    Bytes are judged by a batch's mean row, so a window exceeds them by at most one input batch. A row that does not fit
    behind others opens a window of its own: rows of a GiB are not joined, for Arrow's columns end at two.
    """
    held: list[pa.RecordBatch] = []
    held_rows = held_bytes = 0
    for batch in batches:
        start = 0
        row_bytes = max(1, batch.nbytes // max(1, batch.num_rows))
        while start < batch.num_rows:
            if held and held_bytes + row_bytes > nbytes:
                yield _joined(held)
                held, held_rows, held_bytes = [], 0, 0
            room = min(rows - held_rows, max(1, (nbytes - held_bytes) // row_bytes))
            part = batch.slice(start, room)
            held.append(part)
            held_rows += part.num_rows
            held_bytes += part.num_rows * row_bytes
            start += part.num_rows
            if held_rows >= rows or held_bytes + row_bytes > nbytes:  # now, not when the next row is there
                yield _joined(held)
                held, held_rows, held_bytes = [], 0, 0
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if all(batch.schema.equals(batches[0].schema) for batch in batches):
        return pa.concat_batches(batches)
    # A batch of nulls from pandas does not tell its column's type: the others do.
    whole = pa.concat_tables([pa.Table.from_batches([one]) for one in batches], promote_options="default")
    return whole.combine_chunks().to_batches()[0]


def micro_batches(lengths: npt.NDArray[np.integer[Any]], budget: int, *, overhead: int = 256) -> Iterator[Index]:
    """Item indices by falling length, cut where it costs least: every batch holds at most ``budget`` padded tokens.

    A batch costs its padded tokens and ``overhead`` tokens more (launching it, and small matrix products being less
    efficient), so few large batches pay padding and many small ones pay overhead: the cuts with the least sum are
    found exactly, by dynamic programming over the distinct lengths. The longest come first, so that memory runs out
    at once or never. One item longer than the budget goes alone.
    """
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    sizes, counts = np.unique(-lengths.astype(np.int64), return_counts=True)
    start = 0
    for first, last in _cuts(-sizes, counts, budget, overhead):
        items = int(counts[first:last].sum())
        room = max(1, budget // max(1, int(-sizes[first])))
        yield from np.array_split(order[start : start + items], -(-items // room))
        start += items


def _cuts(sizes: Index, counts: Index, budget: int, overhead: int) -> list[tuple[int, int]]:
    """Ranges of ``sizes`` (falling) to batch together: the least ``padded tokens + overhead × batches``."""
    before = np.concatenate([[0], np.cumsum(counts)])
    room = np.maximum(1, budget // np.maximum(1, sizes))
    best = np.zeros(sizes.size + 1)
    origin = np.zeros(sizes.size + 1, np.int64)
    for end in range(1, sizes.size + 1):
        items = before[end] - before[:end]
        costs = best[:end] + items * sizes[:end] + overhead * -(-items // room[:end])
        origin[end] = np.argmin(costs)
        best[end] = costs[origin[end]]
    ranges = []
    end = sizes.size
    while end:
        ranges.append((int(origin[end]), end))
        end = int(origin[end])
    return ranges[::-1]


@dataclass
class Outputs:
    """What forward gave, by item: an array [items, …] where all shapes agree, else a list."""

    size: int
    failures: Failures = field(default_factory=dict)
    _array: npt.NDArray[Any] | None = None
    _list: list[Any] | None = None

    def put(self, items: Index, values: Sequence[Any] | npt.NDArray[Any]) -> None:
        """Stores the values of these items. RowErrors and values that hold NaN or Inf are failures of their items."""
        for at in np.flatnonzero(_non_finite(values)):
            self.failures[int(items[at])] = non_finite()
        if isinstance(values, np.ndarray):
            if self._array is None:
                self._array = np.zeros((self.size, *values.shape[1:]), values.dtype)
            self._array[items] = values
        else:
            if self._list is None:
                self._list = [None] * self.size
            for item, value in zip(items.tolist(), values, strict=True):
                self._list[item] = value
                if isinstance(value, RowError):
                    self.failures[item] = value

    def take(self, items: Index) -> Any:
        """The values of these items, in their order."""
        if self._array is not None:
            return self._array[items]
        return [self._list[item] for item in items.tolist()] if self._list is not None else []


def _non_finite(values: Sequence[Any] | npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if isinstance(values, np.ndarray):
        if not np.issubdtype(values.dtype, np.floating):
            return np.zeros(len(values), bool)
        return np.asarray(~np.isfinite(values).all(axis=tuple(range(1, values.ndim))))
    return np.array([isinstance(value, np.ndarray) and bool(_non_finite(value[None])[0]) for value in values], bool)


def isolate(run: Callable[[Index], T], rows: Index, *, code: str) -> tuple[list[tuple[Index, T]], Failures]:
    """Runs ``run`` on all rows at once; what fails is halved until the failing rows stand alone.

    Returns the parts that went through, and an error for each row that failed by itself: its own RowError,
    ``out_of_memory``, or ``code``. An error that leaves the device unusable is raised: the task has to start anew.
    """
    done: list[tuple[Index, T]] = []
    failures: Failures = {}
    waiting = [rows] if rows.size else []
    while waiting:
        part = waiting.pop()
        try:
            done.append((part, run(part)))
            continue
        except Exception as error:
            if _is_fatal(error):
                raise
            if part.size == 1:
                failures[int(part[0])] = row_error(error, code)
                continue
            out_of_memory = is_out_of_memory(error)
            log.warning("%s of %d rows raised %s: halved and tried again", code, part.size, type(error).__name__)
        if out_of_memory:
            _free_device_memory()  # outside the except block, whose traceback holds the tensors
        waiting += [part[part.size // 2 :], part[: part.size // 2]]
    return done, failures


def is_out_of_memory(error: BaseException) -> bool:
    """True where Python, CUDA or torch's CPU allocator ran out of memory; told by name, without importing torch."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _is_fatal(error: Exception) -> bool:
    if is_out_of_memory(error):
        return False
    lost = isinstance(error, DeviceError) or type(error).__name__ == "AcceleratorError"
    return lost or "CUDA error" in str(error)


def row_error(error: Exception, code: str) -> RowError:
    """What a row says when it alone raised: its own RowError, ``out_of_memory``, or ``code``."""
    if isinstance(error, RowError):
        return error
    if is_out_of_memory(error):
        return RowError("out_of_memory", "this row alone does not fit the memory: shorten it or take a larger device")
    # The exception's own text may quote the row, so only its kind is told.
    return RowError(code, f"{type(error).__name__} was raised on this row alone")


def _free_device_memory() -> None:
    import sys

    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
