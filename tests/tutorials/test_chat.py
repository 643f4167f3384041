"""MLflow's "Deploy a chatbot with an OpenAI-compatible interface": task llm/v1/chat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pyarrow as pa
import pytest
import transformers

from tests import chats
from tests.tutorials import doors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

MESSAGES = [
    [{"role": "system", "content": "they find water"}, {"role": "user", "content": "how many people"}],
    chats.user("what did they say"),
    chats.user("a long day"),
]


@pytest.fixture(scope="module")
def folder(home: Path) -> Path:
    return chats.save(home / "chat")


def logged(log: Callable[..., Any], folder: Path) -> str:
    generator = transformers.pipeline("text-generation", model=str(folder), device="cpu")
    input_example = {"messages": MESSAGES[0], "temperature": 0.0, "max_tokens": 8}
    with mlflow.start_run():
        model_info = log(
            transformers_model=generator,
            name="chatbot",
            task="llm/v1/chat",
            input_example=input_example,
            model_config={"max_new_tokens": 8, "do_sample": False},
        )
    return str(model_info.model_uri)


def answers(said: list[Any]) -> list[str]:
    assert not any(row["error"] and row["error"]["code"] for row in said)
    return [row["choices"][0]["message"]["content"] for row in said]


def plain(folder: Path, *counts: int) -> list[str]:
    model = chats.Plain(folder)
    return [model.text(model(one, max_new_tokens=n)[1]) for one, n in zip(MESSAGES, counts, strict=True)]


@pytest.mark.parametrize("log", [doors.stock, doors.here])
def test_every_door_answers_as_the_model_answers(
    spark: SparkSession, folder: Path, tmp_path: Path, log: Callable[..., Any]
) -> None:
    said = doors.of(log, spark, logged(log, folder), pa.table({"messages": MESSAGES}), tmp_path)
    assert {door: answers(rows) for door, rows in said.items()} == dict.fromkeys(said, plain(folder, 8, 8, 8))


def test_rows_may_ask_for_their_own_parameters(spark: SparkSession, folder: Path) -> None:
    """Stock takes those of the first row for all."""
    asked = pa.table({"messages": MESSAGES, "params": [{"max_tokens": n} for n in (2, 8, 5)]})
    said = doors.mlflow_doors(spark, logged(doors.here, folder), asked)
    assert {door: answers(rows) for door, rows in said.items()} == dict.fromkeys(said, plain(folder, 2, 8, 5))
