from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from engine.distinct import Distinct
from engine.errors import RowError
from engine.results import assemble
from engine.schema import schema_of

SCHEMA = schema_of("embeddings")


def structs(*vectors: list[float]) -> pa.StructArray:
    columns = [list(vectors), [len(v) for v in vectors], [False] * len(vectors)]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA.fields, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=list(SCHEMA.fields))


def unique(first: list[int], inverse: list[int]) -> Distinct:
    return Distinct(np.array(first, np.int64), np.array(inverse, np.int64))


def test_parts_failures_and_nulls_find_their_rows() -> None:
    """Five rows: b, null, a, bad, b again. Distinct: a, b, bad."""
    parts = [(np.array([1]), structs([2.0, 2.0])), (np.array([0]), structs([1.0]))]
    failures = {2: RowError("non_finite", "NaN")}
    found = assemble(SCHEMA, unique([2, 0, 3], [1, -1, 0, 2, 1]), parts, failures)
    assert found.type == SCHEMA.output
    b, null, a, bad, again = found.to_pylist()
    assert b == again == {"embedding": [2.0, 2.0], "tokens": 2, "truncated": False, "error": None}
    assert null is None
    assert a["embedding"] == [1.0]
    assert bad == {
        "embedding": None,
        "tokens": None,
        "truncated": None,
        "error": {"code": "non_finite", "message": "NaN", "retryable": False},
    }


@pytest.mark.parametrize("inverse", [[], [-1, -1]])
def test_only_nulls_or_nothing(inverse: list[int]) -> None:
    found = assemble(SCHEMA, unique([], inverse), [], {})
    assert found.type == SCHEMA.output
    assert found.to_pylist() == [None] * len(inverse)


def test_a_lost_row_is_noticed() -> None:
    with pytest.raises(AssertionError, match="expected one result for each of 2 distinct rows, got 1"):
        assemble(SCHEMA, unique([0, 1], [0, 1]), [(np.array([0]), structs([1.0]))], {})
