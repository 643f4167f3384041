"""MLflow's "Translation": a task that transformers 5 has no pipeline for."""

from __future__ import annotations

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

TEXTS = ["the people said", "how many", "a long day"]


@pytest.fixture(scope="module")
def folder(home: Path) -> Path:
    return generation.save(home / "t5", "t5")


def test_components_are_logged_where_the_pipeline_is_gone(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    parts: dict[str, Any] = {
        "model": transformers.T5ForConditionalGeneration.from_pretrained(folder),
        "tokenizer": transformers.AutoTokenizer.from_pretrained(folder, model_max_length=64),
    }
    with pytest.raises(KeyError):  # the tutorial's own line
        transformers.pipeline(task="translation_en_to_fr", **parts)

    signature = mlflow.models.infer_signature("a sample", "a sample", params={"max_length": 9})
    with mlflow.start_run():
        model_info = doors.here(
            transformers_model=parts, task="translation_en_to_fr", name="french_translator", signature=signature
        )

    said = doors.of(doors.here, spark, model_info.model_uri, pa.table({"text": TEXTS}), tmp_path)
    expected = [one[0].text for one in generation.plain(folder, TEXTS, max_new_tokens=8)]
    assert {door: [row["text"] for row in rows] for door, rows in said.items()} == dict.fromkeys(said, expected)
