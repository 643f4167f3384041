"""MLflow's "Prompt templating": the template is logged with the model and put around every prompt."""

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

pytestmark = pytest.mark.spark

PROMPTS = ["the people said", "how many", "a long day"]


@pytest.mark.parametrize("log", [doors.stock, doors.here])
def test_the_template_is_around_every_prompt(
    spark: SparkSession, llama: Path, tmp_path: Path, log: Callable[..., Any]
) -> None:
    generator = transformers.pipeline("text-generation", model=str(llama), device="cpu")
    prompt_template = "what did they say of {prompt} when you asked"
    with mlflow.start_run():
        model_info = log(
            transformers_model=generator,
            name="model",
            task="text-generation",
            prompt_template=prompt_template,
            model_config={"max_new_tokens": 8, "do_sample": False},
        )

    said = doors.of(log, spark, model_info.model_uri, pa.table({"prompt": PROMPTS}), tmp_path)
    prompts = [prompt_template.format(prompt=prompt) for prompt in PROMPTS]
    expected = [one[0].text for one in generation.plain(llama, prompts, max_new_tokens=8, do_sample=False)]
    assert expected != [one[0].text for one in generation.plain(llama, PROMPTS, max_new_tokens=8, do_sample=False)]
    for door, rows in said.items():
        assert [row["choices"][0]["text"] for row in rows] == expected, door
