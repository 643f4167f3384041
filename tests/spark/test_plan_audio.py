"""Plans of jobs on recordings: by seconds, from headers that executors read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs import hearing
from jobs.plan import plan
from jobs.runner import run
from tests import speech_models
from tests.recordings import tone, wav
from tests.spark.job import define
from udfs.lengths import Budget

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition

pytestmark = pytest.mark.spark

SECONDS = (2.0, 3.0, 10.0, 5.0)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speech_models.save(tmp_path_factory.mktemp("whisper"))


@pytest.fixture
def job(spark: SparkSession, whisper: Path, tmp_path: Path) -> JobDefinition:
    """Four recordings by path, a file that is none, and a path that leads nowhere."""
    calls = tmp_path / "calls"
    calls.mkdir()
    for i, seconds in enumerate(SECONDS):
        (calls / f"{i}.wav").write_bytes(wav(tone(seconds)))
    (calls / "4.wav").write_bytes(b"no recording")
    rows = [(i, "p", f"{i}.wav") for i in range(6)]
    table = spark.createDataFrame(rows, "id INT, product STRING, path STRING").coalesce(1)
    table.write.format("delta").save(f"{tmp_path}/source")
    return define(
        tmp_path,
        whisper,
        task="automatic-speech-recognition",
        source={"inputs": {"audio": "path"}},
        params={"roots": [str(calls)], "language": "en", "max_new_tokens": 4, "temperatures": [0.0]},
        errors={"max_fraction": 0.5},
    )


def test_plan_and_run_tell_seconds_of_audio(
    spark: SparkSession, job: JobDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "_ON_CPU", Budget(total_s=7.0, one_s=2.5))
    made = plan(job, spark=spark)
    audio: Any = made.planned.audio
    assert (audio.looked, audio.told) == (6, 4)
    assert audio.seconds == pytest.approx(6 * sum(SECONDS) / 4)
    assert audio.speed > 0
    assert made.planned.rows_per_s == pytest.approx(6 * audio.speed / audio.seconds)
    assert (made.tried, made.failed) == (3, {})  # 2 s, 2.5 of 3 s and 2.5 of 10 s
    done = run(job, spark=spark)
    assert (done.rows, done.failed) == (6, 2)
    assert done.audio_s == pytest.approx(sum(SECONDS), abs=0.01)
    assert done.times_real_time == pytest.approx(done.audio_s / done.seconds)
    assert done.planned is not None
    assert done.planned.audio is not None
    scored = spark.read.format("delta").load(job.sink.path).orderBy("id").collect()
    heard = [row["sentiment"]["duration_s"] for row in scored[:4]]
    assert heard == pytest.approx(SECONDS, abs=0.01)  # a trial hears beginnings, a run everything
