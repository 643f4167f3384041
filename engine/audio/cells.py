"""Columns to recordings: of bytes, of strings that are paths or base64, of samples. Nothing is read or decoded here."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pyarrow as pa

from engine.audio.recording import Base64, Encoded, Located, Recording, Sampled
from engine.audio.roots import roots_of
from engine.audio.storage import Storage
from engine.errors import RowError, SchemaError


def recordings(
    column: pa.Array, rates: pa.Array | None, params: Any, storage: Storage | None = None
) -> list[Recording | RowError]:
    """The recordings of a column's rows; a RowError where a cell can be none.

    Args:
        column: without nulls: binary, string, or lists of float32 or float64.
        rates: samples a second of lists; of other columns they are not read.
        params: ``engine.tasks.audio.AudioParams``.
        storage: how object stores are reached.

    Raises SchemaError for a column of another type.
    """
    column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    if _is_binary(column.type):
        return [_held(Encoded(data), data.size, params.max_bytes) for data in _buffers(column)]
    if _is_string(column.type) and params.strings == "base64":
        # Line breaks and the head of a data: URI are counted as if they were data.
        return [_held(Base64(text), text.size * 3 // 4, params.max_bytes) for text in _buffers(column)]
    if _is_string(column.type):
        roots, storage = roots_of(params.roots), storage or Storage()
        return [Located(path, roots, storage) for path in _buffers(column)]
    if _is_samples(column.type):
        return _sampled(column, rates)
    raise SchemaError(f"expected a column of bytes, strings or lists of floats, got {column.type}")


def _is_binary(dtype: pa.DataType) -> bool:
    return any(test(dtype) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))


def _is_string(dtype: pa.DataType) -> bool:
    return any(test(dtype) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _is_samples(dtype: pa.DataType) -> bool:
    listed = pa.types.is_list(dtype) or pa.types.is_large_list(dtype)
    return listed and dtype.value_type in (pa.float32(), pa.float64())


def _buffers(column: pa.Array) -> list[pa.Buffer]:
    """Each row's bytes, where they lie in the column."""
    return [value.as_buffer() for value in column.cast(pa.large_binary())]


def _held(recording: Recording, nbytes: int, most: int) -> Recording | RowError:
    if nbytes <= most:
        return recording
    return RowError("too_large", f"expected at most {most} bytes, got {nbytes}: raise max_bytes, or give a path")


def _sampled(column: pa.Array, rates: pa.Array | None) -> list[Recording | RowError]:
    starts = column.offsets.to_numpy().tolist()
    known = [None] * len(column) if rates is None else rates.to_pylist()
    spans = zip(pairwise(starts), known, strict=True)
    return [_at(rate, column.values.slice(start, end - start)) for (start, end), rate in spans]


def _at(rate: Any, values: pa.Array) -> Recording | RowError:
    if rate is None or not math.isfinite(rate) or rate <= 0:
        return RowError("invalid_audio", "expected a sampling_rate above 0 beside samples: name its column in inputs")
    return Sampled(values, float(rate))
