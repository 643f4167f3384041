"""Which rows of a window are equal, so that each is scored once. Runs on the executor."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.batching import Index


@dataclass(frozen=True)
class Distinct:
    """Which rows of a window are scored, and which of these answers every row.

    Args:
        first: int64 [distinct], the window's rows to score: the first of each group of equal rows.
        inverse: int64 [rows], position in ``first``; -1 where a required input is null.
    """

    first: Index
    inverse: Index


def distinct(window: pa.RecordBatch, columns: Sequence[str], *, required: Sequence[str]) -> Distinct:
    """Rows equal in all ``columns`` are scored once; a row with a null in a required column is not scored at all."""
    codes = combined_codes(window, columns)
    for name in required:
        codes = np.where(np.asarray(_plain(window.column(name)).is_null()), -1, codes)
    values, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    nulls = int(values.size > 0 and values[0] == -1)
    return Distinct(first[nulls:].astype(np.int64), inverse.reshape(-1).astype(np.int64) - nulls)


def combined_codes(window: pa.RecordBatch, columns: Sequence[str]) -> Index:
    """int64 [rows]: equal where the rows are equal in all columns (null equals null)."""
    codes = np.zeros(window.num_rows, np.int64)
    for name in columns:
        own = _codes(window.column(name))
        _, codes = np.unique(codes * (int(own.max(initial=0)) + 1) + own, return_inverse=True)
    return codes.reshape(-1).astype(np.int64)


def row_digests(batch: pa.RecordBatch) -> pa.FixedSizeBinaryArray:
    """Of each row 128 bits (BLAKE2b) that are equal where the rows are: in names, types and values of all columns.

    They hold beyond the batch, where codes don't. A row with a value that Python has no form for is equal to none.
    """
    start = hashlib.blake2b(repr([(one.name, str(one.type)) for one in batch.schema]).encode(), digest_size=16)
    made = []
    for values in zip(*map(_marks, batch.columns), strict=True):
        row = start.copy()
        row.update(b"".join(values))
        made.append(row.digest())
    return pa.array(made, pa.binary(16))


def _marks(column: pa.Array) -> list[bytes]:
    """Of each value 17 bytes, the first of which tells null, a value and one that is equal to none apart."""
    plain = _plain(column)
    if pa.types.is_null(plain.type):
        return [_mark(None)] * len(plain)
    try:
        encoded = pc.dictionary_encode(plain, null_encoding="encode")
    except pa.ArrowNotImplementedError:  # nested types
        return list(map(_mark, _digests(plain) if _holds_numbers(plain.type) else _keys(plain)))
    known = list(map(_mark, _scalars(encoded.dictionary)))
    return [known[at] for at in encoded.indices.to_pylist()]


def _scalars(values: pa.Array) -> list[bytes | str | None]:
    as_bytes = _as_bytes(values.type)
    if pa.types.is_binary(as_bytes) or pa.types.is_large_binary(as_bytes):
        plain: list[bytes | str | None] = values.cast(as_bytes).to_pylist()
        return plain
    return [None if value is None else repr(value) for value in values.to_pylist()]


def _mark(value: bytes | str | int | None) -> bytes:
    if value is None:
        return bytes(17)
    if isinstance(value, int):  # the row of a value that is equal to none
        return b"\2" + os.urandom(16)
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return b"\1" + hashlib.blake2b(data, digest_size=16).digest()


def _plain(column: pa.Array) -> pa.Array:
    """A dictionary column's own codes may name a value twice, and null by a code or by none: its values decide."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _codes(column: pa.Array) -> Index:
    plain = _plain(column)
    try:
        encoded = pc.dictionary_encode(plain, null_encoding="encode")
    except pa.ArrowNotImplementedError:  # nested types
        seen: dict[Any, int] = {}
        keys = _digests(plain) if _holds_numbers(plain.type) else _keys(plain)
        return np.array([seen.setdefault(key, len(seen)) for key in keys], np.int64)
    indices: Index = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return indices


def _holds_numbers(dtype: pa.DataType) -> bool:
    if not (pa.types.is_list(dtype) or pa.types.is_large_list(dtype)):
        return False
    return bool(pa.types.is_integer(dtype.value_type) or pa.types.is_floating(dtype.value_type))


def _digests(column: pa.Array) -> Iterator[bytes | None]:
    """Of lists of numbers, a digest of each one's bytes (BLAKE2b, 128 bits), None for null.

    A recording has hundreds of thousands of samples: Python values of them would take seconds.
    """
    values = column.values
    known = column.is_valid().to_numpy(zero_copy_only=False)
    for (start, end), there in zip(pairwise(column.offsets.to_numpy().tolist()), known.tolist(), strict=True):
        yield _digest(values.slice(start, end - start)) if there else None


def _digest(values: pa.Array) -> bytes:
    made = hashlib.blake2b(digest_size=16, person=b"nulls" if values.null_count else b"")
    if values.null_count:
        made.update(values.is_null().to_numpy(zero_copy_only=False))
        values = values.fill_null(0)
    made.update(values.to_numpy())
    return made.digest()


def _keys(column: pa.Array) -> list[str | int]:
    """Of nested values, what is equal where they are; one without a Python value is equal to none."""
    try:
        column = column.cast(_as_bytes(column.type))  # strings that are not UTF-8 have no Python value
        return [repr(value) for value in column.to_pylist()]
    except Exception:  # whatever a value raises: ``encode`` meets it again, as the error of its row
        return [_key(value, row) for row, value in enumerate(column)]


def _key(value: pa.Scalar, row: int) -> str | int:
    try:
        return repr(value.as_py())
    except Exception:  # as above
        return row


def _as_bytes(dtype: pa.DataType) -> pa.DataType:
    """The type with binary for every string in its lists, maps and structs."""
    types = pa.types
    if types.is_struct(dtype):
        return pa.struct([field.with_type(_as_bytes(field.type)) for field in dtype.fields])
    if types.is_map(dtype):
        key, item = (field.with_type(_as_bytes(field.type)) for field in (dtype.key_field, dtype.item_field))
        return pa.map_(key, item, dtype.keys_sorted)
    if types.is_list(dtype) or types.is_large_list(dtype):
        make = pa.list_ if types.is_list(dtype) else pa.large_list
        return make(dtype.value_field.with_type(_as_bytes(dtype.value_type)))
    if types.is_large_string(dtype):
        return pa.large_binary()
    return pa.binary() if types.is_string(dtype) else dtype
