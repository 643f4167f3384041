"""Candidate labels: the same for every row, or those that a column gives each."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.batching import Failures, Index
from engine.errors import ParameterError, RowError
from engine.tasks.tokens import texts_of

_NO_LABELS: Final = (
    "expected labels in the column of candidate_labels, as a list of strings or with commas between them; "
    "got null, none, or a null among them"
)


@dataclass(frozen=True)
class Candidates:
    """Labels of rows. A row without labels has none that can be taken.

    Args:
        names: string [names], the labels.
        name: int64 [labels of all rows], place of each in ``names``.
        row: int64 [labels of all rows], the row of each, ascending.
    """

    names: pa.Array
    name: Index
    row: Index


def for_all(labels: Sequence[str], rows: int) -> Candidates:
    """The same labels for so many rows."""
    count = len(labels)
    return Candidates(pa.array(labels, pa.string()), np.tile(np.arange(count), rows), np.repeat(np.arange(rows), count))


def of_column(column: pa.Array, default: Sequence[str] = ()) -> Candidates:
    """The labels that each cell gives: a list of strings, or a string with commas between labels.

    A null gives the default. An empty cell, a list with a null in it, and every cell of a column of another type give
    none. Raises RowError(invalid_text) where the bytes of a label are not UTF-8.
    """
    if pa.types.is_null(column.type):
        return for_all(default, len(column))
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if _is_string(column.type):
        column = _split(column)
    if not (_is_list(column.type) and _is_string(column.type.value_type)):
        return for_all([], len(column))
    if default:
        column = pc.coalesce(column, pa.scalar(list(default), column.type))
    sizes = np.asarray(pc.fill_null(pc.list_value_length(column), 0), np.int64)
    labels = pc.dictionary_encode(column.flatten())
    row = np.repeat(np.arange(len(column)), sizes)
    good = ~np.isin(row, row[np.asarray(labels.indices.is_null())])
    name = np.asarray(pc.fill_null(labels.indices, 0), np.int64)
    return Candidates(labels.dictionary.cast(pa.string()), name[good], row[good])


def without_labels(labels: Candidates, rows: int) -> Failures:
    """Of so many rows those that have no label."""
    error = RowError("invalid_parameter", _NO_LABELS)
    return dict.fromkeys(np.setdiff1d(np.arange(rows), labels.row).tolist(), error)


def check_template(template: str) -> None:
    """Raises ParameterError for a hypothesis without one place, and one alone, for the label."""
    if not _takes_a_label(template):
        raise ParameterError(
            f"expected hypothesis_template to be a sentence with one {{}} where the label goes, got {template!r}"
        )


def ranked(
    names: pa.Array, counts: Index, scores: npt.NDArray[np.float32], type_: pa.DataType, *, later_first: bool
) -> list[pa.Array]:
    """The columns label, score and scores (of this type), best first.

    Args:
        names: string [labels of all rows]; scores: of each.
        counts: int64 [rows], labels of each row, at least one.
        later_first: whether of labels with equal scores the later comes first.
    """
    places, row = np.arange(scores.size), np.repeat(np.arange(counts.size), counts)
    best = np.lexsort((-places if later_first else places, -scores, row))
    labels, values = names.take(pa.array(best)), pa.array(scores[best], pa.float32())
    offsets = np.concatenate([[0], np.cumsum(counts)])
    pairs = pa.StructArray.from_arrays([labels, values], fields=list(type_.value_type.fields))
    first = pa.array(offsets[:-1])
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pairs, type=type_)
    return [labels.take(first), values.take(first), lists]


def _takes_a_label(template: str) -> bool:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return False
    return [part[1:] for part in parts if part[1] is not None] == [("", "", None)]


def _split(column: pa.Array) -> pa.Array:
    """Each distinct string cut at its commas, as transformers' pipeline does it."""
    cells = pc.dictionary_encode(column)
    parts = ((label.strip() for label in (cell or "").split(",")) for cell in texts_of(cells.dictionary))
    lists = pa.array([[label for label in labels if label] for labels in parts], pa.list_(pa.string()))
    return lists.take(cells.indices)


def _is_string(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _is_list(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_))
