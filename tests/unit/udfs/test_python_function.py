"""What MLflow's python_function flavor says of a model, and what it makes of a batch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from engine.errors import ModelError, ParameterError, RowError, SchemaError
from engine.schema import Input
from tests import pyfuncs
from udfs import python_function

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*An input example was not provided:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*Integer columns in Python cannot represent missing values:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]

HELPED = """
import mlflow


class Helped(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        import helper

        return [helper.say(text) for text in model_input["input"]]


mlflow.models.set_model(Helped())
"""


@pytest.mark.parametrize(
    ("found", "rows"),
    [
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
        (pd.DataFrame({"a": [0.5, None]}, index=[7, 3]), [{"a": 0.5}, {"a": None}]),
        (pd.DataFrame({0: [[1], [2]]}), [{"0": [1]}, {"0": [2]}]),
        (pd.Series(["x", None]), ["x", None]),
        (np.array([0.5, np.nan]), [0.5, np.nan]),
        (["x", {"a": 1}], ["x", {"a": 1}]),
        ({"a": [1, 2], "b": np.array([0.5, 1.5])}, [{"a": 1, "b": 0.5}, {"a": 2, "b": 1.5}]),
    ],
)
def test_a_value_a_row(found: Any, rows: list[Any]) -> None:
    np.testing.assert_equal(python_function.rows_of(found, 2), rows)


@pytest.mark.parametrize("found", [None, "xy", ["x"], [1, 2, 3], {"a": 1}, {}, {"a": [1]}, pd.DataFrame({"a": [1]}), 5])
def test_another_number_of_values_is_no_answer(found: Any) -> None:
    with pytest.raises(RowError, match="schema_mismatch: expected predict to return"):
        python_function.rows_of(found, 2)


def test_a_signature_names_inputs_and_parameters(tmp_path: Path) -> None:
    folder = pyfuncs.lengths(tmp_path)
    assert python_function.inputs_of(folder) == (Input("body", pa.string()),)
    python_function.check_params(folder, ["scale"])
    with pytest.raises(ParameterError, match=r"model's signature \(scale\), got sclae: log the model"):
        python_function.check_params(folder, ["scale", "sclae"])
    assert python_function.example_of(folder, python_function.inputs_of(folder)) is None


def test_columns_of_a_signature_keep_their_types(tmp_path: Path) -> None:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec
    from mlflow.types.schema import Array, DataType

    columns = [
        ColSpec("double", "price"),
        ColSpec("long", "count", required=False),
        ColSpec(Array(DataType.string), "tags"),
    ]
    folder = pyfuncs.save(tmp_path, pyfuncs.LENGTHS, signature=ModelSignature(Schema(columns)))
    assert python_function.inputs_of(folder) == (
        Input("price", pa.float64()),
        Input("count", pa.int64(), required=False),
        Input("tags", pa.list_(pa.field("element", pa.string()))),
    )
    for i, (other, message) in enumerate(
        [(ColSpec("datetime", "when"), "when is"), (TensorSpec(np.dtype("float32"), (-1, 2)), "it has tensors")]
    ):
        odd = pyfuncs.save(tmp_path / str(i), pyfuncs.LENGTHS, signature=ModelSignature(Schema([other])))
        with pytest.raises(SchemaError, match=message):
            python_function.inputs_of(odd)


def test_type_hints_take_one_column_of_texts(tmp_path: Path) -> None:
    folder = pyfuncs.save(tmp_path, pyfuncs.SHOUTS, input_example=["a", "b"])
    inputs = python_function.inputs_of(folder)
    example = python_function.example_of(folder, inputs)
    assert inputs == (Input("input", pa.string()),)
    assert example is not None
    assert {role: column.to_pylist() for role, column in example.items()} == {"input": ["a", "b"]}
    assert python_function.predictor(folder)(example, {}) == ["A", "B"]


def test_parameters_reach_predict(tmp_path: Path) -> None:
    predict = python_function.predictor(pyfuncs.lengths(tmp_path))
    assert [row["length"] for row in predict({"body": pa.array(["ab", "c"])}, {"scale": 10.0})] == [20.0, 10.0]


def test_modules_of_one_model_do_not_serve_another(tmp_path: Path) -> None:
    folders = []
    for name in ("one", "other"):
        helper = tmp_path / name / "code" / "helper.py"
        helper.parent.mkdir(parents=True)
        helper.write_text(f"def say(text):\n    return '{name} ' + text\n", encoding="utf-8")
        made = pyfuncs.save(tmp_path / name, HELPED, code_paths=[str(helper)])
        folders.append(made.rename(tmp_path / f"bundle-{name}"))
    column = {"input": pa.array(["x"])}
    path = list(sys.path)
    try:
        found = [python_function.predictor(folder)(column, {}) for folder in (*folders, *folders)]
    finally:
        sys.modules.pop("helper", None)
        sys.path[:] = path
    assert found == [["one x"], ["other x"]] * 2


def test_a_model_that_does_not_load_is_an_error_that_says_why(tmp_path: Path) -> None:
    folder = pyfuncs.lengths(tmp_path)
    (script,) = folder.glob("script.py")
    script.write_text("import no_such_package\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"expected a PyFunc that loads here, .* No module named 'no_such_package'"):
        python_function.predictor(folder)
