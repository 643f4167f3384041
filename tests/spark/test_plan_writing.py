"""Plans and runs of jobs that write: a table of turns, its conversations answered turn by turn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs import bounds
from jobs.bounds import Bounds
from jobs.plan import plan
from jobs.runner import run
from tests import talks
from tests.spark.job import define

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition

pytestmark = pytest.mark.spark


@pytest.fixture
def job(spark: SparkSession, tmp_path: Path) -> JobDefinition:
    """Two conversations of three turns and one of one."""
    turns = [(chat, turn, "user", f"{chat}{turn}") for chat in "ab" for turn in range(3)] + [("c", 0, "user", "c")]
    table = spark.createDataFrame(turns, "chat STRING, turn INT, role STRING, content STRING").coalesce(1)
    table.write.format("delta").save(f"{tmp_path}/source")
    return define(
        tmp_path,
        talks.save(tmp_path / "model"),
        task="llm/v1/chat",
        source={"key": ["chat"], "fold": {}, "inputs": "messages"},
        params={"roll_forward": True, "max_tokens": 24, "logit_bias": talks.BIAS},
        sink={"output": "answer", "keep": []},
    )


def test_conversations_are_planned_by_tokens_and_answered_turn_by_turn(
    spark: SparkSession, job: JobDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "_ON_CPU", Bounds(texts=6, tokens=6))
    made = plan(job, spark=spark)
    assert (made.rows, made.planned.rows, made.tried, made.failed) == (3, 3, 2, {})
    expected: Any = made.planned.writing
    assert (expected.rows, expected.cap, expected.most) == (2, 6, 24)
    assert expected.cut <= expected.texts in (4, 6)
    assert expected.output_tokens > 0
    assert made.planned.rows_per_s == pytest.approx(3 * expected.per_s / expected.output_tokens)

    done = run(job, spark=spark)
    rows = spark.read.format("delta").load(job.sink.path).orderBy("chat").collect()
    assert [(row["chat"], row["turn"], len(row["answer"]["turns"])) for row in rows] == [
        ("a", 2, 3),
        ("b", 2, 3),
        ("c", 0, 1),
    ]
    written = sum(row["answer"]["usage"]["completion_tokens"] for row in rows)
    assert written == sum(turn["completion_tokens"] for row in rows for turn in row["answer"]["turns"])
    assert (done.written_tokens, done.failed) == (written, 0)
    assert rows[0]["answer"]["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
