"""Parts of a window, scored out of order, put together into one struct column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.batching import Failures, Index
from engine.distinct import Distinct
from engine.schema import ERROR, TaskSchema


def assemble(
    schema: TaskSchema, distinct: Distinct, parts: list[tuple[Index, pa.StructArray]], failures: Failures
) -> pa.StructArray:
    """The struct of every row of the window, in the window's order.

    Args:
        schema: of the task.
        distinct: which scored row answers which row of the window; -1 gives a null struct.
        parts: positions of distinct rows with their structs (without ``error``).
        failures: position of a distinct row → its error; its other fields are null.
    """
    positions = [rows for rows, _ in parts]
    structs = [_succeeded(schema, part) for _, part in parts]
    if failures:
        positions.append(np.fromiter(failures, np.int64, len(failures)))
        structs.append(failed(schema, failures))
    if not structs:
        return pa.nulls(distinct.inverse.size, schema.output)
    scored = np.concatenate(positions)
    if scored.size != distinct.first.size:
        raise AssertionError(f"expected one result for each of {distinct.first.size} distinct rows, got {scored.size}")
    order = np.argsort(scored, kind="stable")
    index = order[np.maximum(distinct.inverse, 0)]
    return pa.concat_arrays(structs).take(pa.array(index, mask=distinct.inverse < 0))


def _succeeded(schema: TaskSchema, part: pa.StructArray) -> pa.StructArray:
    return pa.StructArray.from_arrays([*part.flatten(), pa.nulls(len(part), ERROR)], fields=schema.output.fields)


def failed(schema: TaskSchema, failures: Failures) -> pa.StructArray:
    """A struct [failures] for each row that failed: its error, all other fields null."""
    errors = [{"code": e.code, "message": e.message, "retryable": e.retryable} for e in failures.values()]
    empty = [pa.nulls(len(errors), field.type) for field in schema.fields]
    return pa.StructArray.from_arrays([*empty, pa.array(errors, ERROR)], fields=schema.output.fields)
