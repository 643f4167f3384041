"""Every struct of the table, with nulls wherever they may be, through what stock ``spark_udf`` does on a worker."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from engine.errors import SchemaError
from engine.schema import SCHEMAS, schema_of
from tests.artifacts import as_stock
from udfs.pyfunc.frames import Nullable, frame_of, inputs_of, params_of
from udfs.pyfunc.signature import signature_of

ROWS = 200
TASKS = sorted(SCHEMAS.keys() - {"text-to-audio"})


def by_stock(frame: pd.DataFrame, task: str) -> pa.StructArray:
    """The column that Spark gets: MLflow converts the frame by the type of its signature, PySpark what it makes."""
    from mlflow.pyfunc import _convert_struct_values, _infer_spark_udf_return_type
    from pyspark.sql.conversion import PandasToArrowConversion
    from pyspark.sql.types import StructField, StructType

    spark_type = _infer_spark_udf_return_type(signature_of(task).outputs)
    converted = _convert_struct_values(pd.DataFrame(frame), spark_type)
    schema = StructType([StructField("_0", spark_type)])
    return PandasToArrowConversion.convert([converted], schema, arrow_cast=True, assign_cols_by_name=True).column(0)


def drawn(of: pa.DataType, draw: random.Random, nulls: float = 0.25, null: float | None = None) -> Any:
    """A value of a type, null with the probability ``null``; nothing in a list is, but lists of numbers in it."""
    if draw.random() < (nulls if null is None else null):
        return None
    if pa.types.is_struct(of):
        return {one.name: drawn(one.type, draw, nulls) for one in of}
    if pa.types.is_list(of):
        inner = nulls if pa.types.is_list(of.value_type) and pa.types.is_floating(of.value_type.value_type) else 0.0
        return [drawn(of.value_type, draw, nulls, inner) for _ in range(draw.randrange(4))]
    if pa.types.is_floating(of):
        return float(np.float32(draw.random()))
    if pa.types.is_boolean(of):
        return draw.random() < 0.5
    return draw.randrange(1000) if pa.types.is_integer(of) else draw.choice(["", "day", "שלום 😀", "None"])


@pytest.mark.parametrize("task", TASKS)
def test_stock_spark_udf_keeps_every_value(task: str) -> None:
    of = schema_of(task).output
    draw = random.Random(task)
    values = [drawn(of, draw) for _ in range(ROWS)]
    found = by_stock(frame_of(pa.array(values, of)), task)
    assert found.to_pylist() == [as_stock(value, of) for value in values]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("nulls", [0.0, 1.0])
def test_batches_without_a_null_and_of_nulls_alone(task: str, nulls: float) -> None:
    of = schema_of(task).output
    values = [drawn(of, random.Random(at), nulls) for at in range(9)]
    sliced = pa.array(values, of)[2:7]  # whose buffers begin before it
    assert by_stock(frame_of(sliced), task).to_pylist() == [as_stock(value, of) for value in values[2:7]]


def test_lists_of_numbers_are_views_of_one_array() -> None:
    of = schema_of("embeddings").output
    vectors = [{"embedding": [float(at)] * 384, "tokens": 3, "truncated": False, "error": None} for at in range(3)]
    frame = frame_of(pa.array([*vectors, None], of))
    assert [cell is None or (cell.dtype, cell.base is not None) for cell in frame["embedding"]] == [
        *[(np.dtype("float32"), True)] * 3,
        True,
    ]
    np.testing.assert_array_equal(np.stack(frame["embedding"][:3]), [one["embedding"] for one in vectors])


def test_a_column_keeps_its_nulls_in_every_type() -> None:
    column = pd.Series(Nullable(pa.chunked_array([pa.array([1, None, 3], pa.int32())])))
    for dtype, expected in (("int64", [1, None, 3]), ("float32", [1.0, None, 3.0]), (np.str_, ["1", None, "3"])):
        assert [None if value is pd.NA else value for value in column.astype(dtype)] == expected
    assert column.astype("float64").dtype == pd.ArrowDtype(pa.float64())
    assert column.astype("Int32").dtype == pd.Int32Dtype()


def test_binary_results_are_refused() -> None:
    with pytest.raises(SchemaError, match="stock spark_udf refuses"):
        signature_of("text-to-audio")


def test_columns_of_parameters_have_the_types_that_tasks_take() -> None:
    frame = pd.DataFrame(
        {
            "top_k": [1.0, None, 3.0],
            "temperature": [Decimal("0.7"), None, Decimal("1.50")],
            "threshold": [0.5, 1.0, None],
            "stop": [np.array(["a", "b"], object), None, np.array([], object)],
            "language": [None, "en", None],
            "max_tokens": pd.array([5, None, 7], "Int32"),
            "seed": [float("nan")] * 3,
            "else": [1, 2, 3],
        }
    )
    found = params_of(frame, tuple(frame.columns[:-1]))
    assert {name: column.to_pylist() for name, column in found.items()} == {
        "top_k": [1, None, 3],
        "temperature": [Decimal("0.70"), None, Decimal("1.50")],
        "threshold": [0.5, 1.0, None],
        "stop": [["a", "b"], None, []],
        "language": [None, "en", None],
        "max_tokens": [5, None, 7],
    }
    assert pa.types.is_integer(found["top_k"].type)


def test_a_column_of_several_types_is_refused_without_its_values() -> None:
    with pytest.raises(SchemaError, match="values of one type in column top_k, got several") as refused:
        params_of(pd.DataFrame({"top_k": [1, "a secret"]}), ("top_k",))
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_columns_that_mlflow_fills_with_nan_are_null() -> None:
    """It gives each column that was left out, where columns are told by their place."""
    frame = pd.DataFrame({"text": ["a", None], "text_pair": [float("nan")] * 2, "top_k": [float("nan")] * 2})
    nulls = pa.nulls(2, pa.string())
    assert inputs_of(frame, schema_of("text-classification")) == {"text": pa.array(["a", None]), "text_pair": nulls}
    assert params_of(frame, ("top_k",)) == {}
