"""MLflow's "Text generation": a signature with parameters, which predict may overrule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pyarrow as pa
import pytest
import transformers

from tests import generation
from tests.tutorials import doors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore:``mlflow.transformers.generate_signature_output`` is deprecated"),
]

PROMPTS = ["the people said", "how many", "a long day"]
ROWS = pa.table({"prompt": PROMPTS})


def logged(log: Callable[..., Any], llama: Path) -> str:
    """As the tutorial has it, with a tiny model and greedily."""
    text_generation_pipeline = transformers.pipeline(task="text-generation", model=str(llama), device="cpu")
    input_example = ["the people said", "find the water"]
    parameters = {"max_new_tokens": 8, "do_sample": False}
    signature = mlflow.models.infer_signature(
        input_example,
        mlflow.transformers.generate_signature_output(text_generation_pipeline, input_example, params=parameters),
        parameters,
    )
    with mlflow.start_run():
        model_info = log(
            transformers_model=text_generation_pipeline,
            name="text_generator",
            input_example=input_example,
            signature=signature,
        )
    return str(model_info.model_uri)


def plain(llama: Path, count: int) -> list[str]:
    return [one[0].text for one in generation.plain(llama, PROMPTS, max_new_tokens=count, do_sample=False)]


def texts(said: list[Any]) -> list[str]:
    assert not any(row["error"] and row["error"]["code"] for row in said)
    return [row["choices"][0]["text"] for row in said]


@pytest.mark.parametrize("log", [doors.stock, doors.here])
def test_every_door_writes_what_the_model_writes(
    spark: SparkSession, llama: Path, tmp_path: Path, log: Callable[..., Any]
) -> None:
    said = doors.of(log, spark, logged(log, llama), ROWS, tmp_path)
    assert {door: texts(rows) for door, rows in said.items()} == dict.fromkeys(said, plain(llama, 8))


def test_predict_takes_parameters_over_those_of_the_signature(llama: Path) -> None:
    model = mlflow.pyfunc.load_model(logged(doors.here, llama))
    assert texts(doors.predicted(model, ROWS)) == plain(llama, 8)
    assert texts(doors.predicted(model, ROWS, {"max_new_tokens": 3})) == plain(llama, 3)
