"""Jobs and functions refuse a poisoned model, and one that the policy forbids, before a row is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from engine.errors import ForbiddenModelError, UnsafeModelError
from jobs.plan import plan
from jobs.runner import run
from tests import poison
from tests.faults import fault
from tests.spark.job import add, define, rows
from udfs import register, score

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


@fault(
    "the model has code or pickles that would run",
    of="the model",
    seen="no row is read and nothing runs: which file, and what it would have done",
    left="write the weights as safetensors, or allow the code",
)
@pytest.mark.parametrize("kind", ["pickled weights", "a loader of its own", "code of the model"])
def test_every_door_looks_first(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    folder, ran = poison.logged(tmp_path / "model"), tmp_path / "ran"
    put, words = poison.KINDS[kind]
    put(folder, ran)
    df = rows(spark, ["a good day"])
    add(spark, tmp_path, ["a good day"])
    job = define(tmp_path, folder)
    doors: list[Any] = [
        lambda: score(df, model=str(folder), input="body", output="s"),
        lambda: register(spark, "poisoned", str(folder)),
        lambda: plan(job, spark=spark),
        lambda: run(job, spark=spark),
    ]
    for door in doors:
        with pytest.raises(UnsafeModelError) as caught:
            door()
        assert words in str(caught.value)
    assert not ran.exists()
    assert not (tmp_path / "sink").exists()


def test_a_job_keeps_to_the_policy(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = poison.logged(tmp_path / "model")
    lists = {key: ["*"] for key in ("registries", "models", "hub", "licences")}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump({"version": 1, **lists, "folders": []}))
    monkeypatch.setenv("EMBERCAST_POLICY", str(tmp_path / "policy.yaml"))
    add(spark, tmp_path, ["a good day"])
    with pytest.raises(ForbiddenModelError, match="and folders are none"):
        run(define(tmp_path, folder), spark=spark)
