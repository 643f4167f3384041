"""The spine: window → encode → micro-batches → forward → decode → restore order → typed struct column.

Runs in a Python worker of an executor, or anywhere else that has Arrow batches: it knows neither Spark nor MLflow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from engine.batching import Failures, Index, Outputs, isolate, micro_batches, windows
from engine.distinct import Distinct, combined_codes, distinct
from engine.errors import ParameterError, RowError
from engine.hang import ends_after
from engine.options import Column, Compute, Request
from engine.prefetch import prefetched
from engine.results import assemble
from engine.stats import Stats
from engine.tasks.base import Encoded, Task
from engine.tasks.params import parse_params, takes

log = logging.getLogger(__name__)


class Scored(NamedTuple):
    """One window: its rows as they came, the struct of each, and what it cost."""

    batch: pa.RecordBatch
    result: pa.StructArray
    stats: Stats


@dataclass
class Group:
    """Distinct rows of a window with equal parameters; ``rows`` are their positions in ``distinct.first``."""

    rows: Index
    params: Any
    encoded: Encoded
    outputs: Outputs


@dataclass
class Work:
    """A window on its way through the spine."""

    window: pa.RecordBatch
    distinct: Distinct
    groups: list[Group]
    failures: Failures
    stats: Stats


class Scorer:
    """Scores Arrow batches with one task.

    Args:
        task: a task with its model on a device.
        request: which columns are the inputs, and the parameters.
        compute: bounds of the window (``window_rows``, ``window_bytes``).
        batch_tokens: padded tokens of one micro-batch.
    """

    def __init__(self, task: Task, request: Request, *, batch_tokens: int, compute: Compute | None = None) -> None:
        self.task = task
        self.request = request
        self.compute = compute or Compute()
        self.batch_tokens = batch_tokens
        self.params = self._checked(parse_params(task.name, request.params))
        columns = {name: value.name for name, value in request.params.items() if isinstance(value, Column)}
        self.by_row = {name: column for name, column in columns.items() if name not in task.by_row}
        #: What ``encode`` reads: input roles, and the parameters it takes row by row.
        self.encoded_columns = {**request.inputs, **{name: columns[name] for name in task.by_row if name in columns}}

    def score(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Scored]:
        """As many rows out as in, in order. The next window is read and encoded while this one is computed."""
        rows = min(self.compute.window_rows, self.task.window_rows or self.compute.window_rows)
        nbytes = min(self.compute.window_bytes, self.task.window_bytes or self.compute.window_bytes)
        cut = windows(batches, rows=rows, nbytes=nbytes)
        with prefetched(self._encode, cut) as encoded:
            for work in encoded:
                self._forward(work)
                yield self._decode(work)

    def _encode(self, window: pa.RecordBatch) -> Work:
        stats = Stats(rows=window.num_rows)
        with stats.timed("encode"):
            unique = distinct(window, self.request.columns, required=self._required())
            work = Work(window, unique, [], {}, stats)
            for rows, params in self._by_params(window, unique.first):
                if isinstance(params, RowError):
                    work.failures.update(dict.fromkeys(rows.tolist(), params))
                    continue
                encode = partial(self._encode_rows, window, unique.first, params)
                encoded, failures = isolate(encode, rows, code="encode_failed")
                work.failures.update(failures)
                work.groups += [Group(part, params, e, Outputs(len(e.lengths))) for part, e in encoded]
        return work

    def _encode_rows(self, window: pa.RecordBatch, first: Index, params: Any, rows: Index) -> Encoded:
        taken = pa.array(first[rows])
        columns = {role: window.column(name).take(taken) for role, name in self.encoded_columns.items()}
        return self.task.encode(columns, params)

    def _forward(self, work: Work) -> None:
        with work.stats.timed("forward"):
            for group in work.groups:
                items = group.encoded.sound
                for batch in micro_batches(group.encoded.costs[items], self.batch_tokens):
                    self._micro_batch(group, items[batch], work.stats)

    def _micro_batch(self, group: Group, items: Index, stats: Stats) -> None:
        lengths = group.encoded.lengths

        def forward(part: Index) -> Any:
            with ends_after(self.compute.max_seconds_per_batch):
                return self.task.forward(group.encoded, part)

        done, failures = isolate(forward, items, code="forward_failed")
        group.outputs.failures.update(failures)
        for part, values in done:
            group.outputs.put(part, values)
            stats.batches += 1
            tokens = int(lengths[part].sum())
            stats.tokens += tokens
            stats.padded_tokens += tokens if group.encoded.at_once else int(lengths[part].max(initial=0)) * part.size
            if group.encoded.written is not None:
                stats.written_tokens += int(group.encoded.written[part].sum())
            if group.encoded.seconds is not None:
                stats.audio_s += float(group.encoded.seconds[part].sum())

    def _decode(self, work: Work) -> Scored:
        stats = work.stats
        with stats.timed("decode"):
            parts: list[tuple[Index, pa.StructArray]] = []
            for group in work.groups:
                parts += self._decode_group(group, work.failures)
            result = assemble(self.task.schema, work.distinct, parts, work.failures)
        stats.nulls = int((work.distinct.inverse < 0).sum())
        stats.duplicates = stats.rows - stats.nulls - work.distinct.first.size
        if work.failures:
            stats.failed = int(np.isin(work.distinct.inverse, list(work.failures)).sum())
        return Scored(work.window, result, stats)

    def _decode_group(self, group: Group, failures: Failures) -> list[tuple[Index, pa.StructArray]]:
        encoded = group.encoded
        local: Failures = dict(encoded.failures)
        for item, error in group.outputs.failures.items():
            local.setdefault(int(encoded.owner[item]), error)
        good = np.setdiff1d(np.arange(encoded.rows), np.fromiter(local, np.int64, len(local)))
        by_row = np.argsort(encoded.owner, kind="stable")

        def decode(rows: Index) -> pa.StructArray:
            items = by_row if rows.size == encoded.rows else by_row[np.isin(encoded.owner[by_row], rows)]
            return self.task.decode(encoded, rows, group.outputs.take(items), group.params)

        parts, undecoded = isolate(decode, good, code="decode_failed")
        failures.update({int(group.rows[row]): error for row, error in {**local, **undecoded}.items()})
        return [(group.rows[rows], structs) for rows, structs in parts]

    def _required(self) -> list[str]:
        return [self.request.inputs[role.name] for role in self.task.schema.inputs if role.required]

    def _checked(self, params: Any) -> Any:
        if self.task.manifest is not None:
            self.task.check(params, self.task.manifest)
        return params

    def _by_params(self, window: pa.RecordBatch, first: Index) -> Iterator[tuple[Index, Any]]:
        """Positions in ``first`` with the parameters they share, or the RowError that these parameters are."""
        everything = np.arange(first.size)
        if not self.by_row:
            yield everything, self.params
            return
        codes = combined_codes(window, list(self.by_row.values()))[first]
        for code in np.unique(codes):
            rows = everything[codes == code]
            yield rows, self._params_of(window, int(first[rows[0]]))

    def _params_of(self, window: pa.RecordBatch, row: int) -> Any:
        try:
            values = {name: window.column(column)[row].as_py() for name, column in self.by_row.items()}
            given = {name: value for name, value in values.items() if value is not None}
            return self._checked(parse_params(self.task.name, {**self.request.params, **given}))
        except (ParameterError, UnicodeDecodeError, OverflowError):  # their messages may quote the row's value
            return RowError("invalid_parameter", self._invalid_parameter())

    def _invalid_parameter(self) -> str:
        columns = " and ".join(sorted(set(self.by_row.values())))
        return f"expected a value of column {columns} that {self.task.name} takes: {takes(self.task.name)}"
