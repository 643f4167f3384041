"""Drawn texts belong to their rows: equal prompts differ by key, and a row scored again draws the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import generation
from tests.spark import job

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("no_mlflow")]


def texts(spark: SparkSession, folder: Path, params: dict[str, Any], bodies: list[str]) -> list[str]:
    """What a job writes after these prompts, by id."""
    from jobs.runner import run

    if not (folder / "model").exists():
        generation.save(folder / "model", "llama", generation={"eos_token_id": generation.ENDS})
    job.add(spark, folder, bodies)
    definition = job.define(
        folder,
        folder / "model",
        task="text-generation",
        source={"inputs": {"prompt": "body"}},
        params={"max_new_tokens": 12, **params},
        sink={"output": "written"},
    )
    run(definition, spark=spark)
    assert all(row.written.error is None for row in job.sink(spark, folder))
    return [row.written.choices[0].text for row in job.sink(spark, folder)]


def test_rows_draw_by_their_keys_and_the_same_again(spark: SparkSession, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "given")]
    for folder in folders:
        folder.mkdir()
    params = {"temperature": 1.5}
    one = texts(spark, folders[0], params, ["the people"] * 6)
    assert len(set(one)) > 3
    two = texts(spark, folders[1], params, ["the people"] * 5 + ["a day", "the people"])
    assert two[:5] == one[:5]
    assert two[6] not in one
    assert len(set(texts(spark, folders[2], {**params, "seed": 1}, ["the people"] * 6))) == 1
