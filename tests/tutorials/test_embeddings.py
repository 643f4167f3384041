"""MLflow's "Embeddings with the OpenAI-compatible interface": task llm/v1/embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import pyarrow as pa
import pytest
import transformers

from tests import tiny
from tests.spark import plain
from tests.tutorials import doors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

TEXTS = ["the people said", "how many of them", "a long day"]


@pytest.fixture(scope="module")
def folder(home: Path) -> Path:
    return tiny.save(home / "encoder", head="")


@pytest.mark.parametrize("log", [doors.stock, doors.here])
def test_every_door_gives_the_mean_of_the_tokens(
    spark: SparkSession, folder: Path, tmp_path: Path, log: Callable[..., Any]
) -> None:
    embedding_pipeline = transformers.pipeline("feature-extraction", model=str(folder), device="cpu")
    with mlflow.start_run():
        model_info = log(transformers_model=embedding_pipeline, name="embedding", task="llm/v1/embeddings")

    said = doors.of(log, spark, model_info.model_uri, pa.table({"input": TEXTS}), tmp_path)
    for door, rows in said.items():
        assert [len(row["data"]) for row in rows] == [1] * len(TEXTS), door
        for row, text in zip(rows, TEXTS, strict=True):
            np.testing.assert_allclose(
                row["data"][0]["embedding"], plain.embedding(folder, text), rtol=1e-5, atol=1e-5, err_msg=door
            )
