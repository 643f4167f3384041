"""Nothing that a job tells holds a secret or a row's text: both are planted, and looked for wherever it wrote."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.cli import app
from jobs.errors import RunError
from jobs.plan import plan
from jobs.runner import run
from tests.spark.job import add, define, ids, rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

SECRET = "hunter2hunter2"
TEXT = "xylophonists"


def tells(folder: Path) -> dict[str, bytes]:
    """Every file but the rows themselves, whose statistics stand in the commits of their own table."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".parquet", ".crc")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def without_statistics(log: bytes) -> bytes:
    """A commit of Delta's without the smallest and greatest values of the columns, which belong to the data."""
    actions = [json.loads(line) for line in log.splitlines()]
    for action in actions:
        action.get("add", {}).pop("stats", None)
    return json.dumps(actions).encode()


def test_no_secret_and_no_text_of_a_row_is_told(
    spark: SparkSession,
    sentiment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("PASSWORD", SECRET)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "planted")
    add(spark, tmp_path, [f"a good {TEXT}", f"{TEXT} were not there", "now"])
    broken = rows(spark, ["x"], first=50).selectExpr("id", "product", f"concat(CAST(X'C328' AS STRING), '{TEXT}') body")
    broken.write.format("delta").mode("append").save(f"{tmp_path}/source")
    define(
        tmp_path,
        sentiment,
        source={"where": "body != '${env:PASSWORD}'"},
        errors={"max_fraction": 0.5, "path": f"{tmp_path}/failed"},
        tracking={"system_metrics": False},
    )
    job = f"{tmp_path}/job.yaml"
    commands = (
        ["plan", job, "--check-keys"],
        ["run", job, "--summary", f"{tmp_path}/told/summary.json"],
        ["run", job, "--retry-failed"],
        ["history", job],
        ["status", job],
        ["errors", job],
        ["validate", job],
    )
    for command in commands:
        assert not app(command, standalone_mode=False), command
    assert app(["run", job, "--set", "limits.max_rows=oops"], standalone_mode=False) == 2
    add(spark, tmp_path, [f"later {TEXT}"], first=60)
    spark.sql(f"UPDATE delta.`{tmp_path}/source` SET body = '{TEXT}' WHERE id = 0")
    assert app(["run", job], standalone_mode=False) == 4  # the source changed
    assert ids(spark, tmp_path) == [0, 1, 2, 50]

    shown = capfd.readouterr()
    told = {"stdout": shown.out.encode(), "stderr": shown.err.encode(), "log": caplog.text.encode()}
    for name, content in tells(tmp_path).items():
        if name.startswith("source/"):
            continue  # the user's own
        is_commit = "/_delta_log/" in name and name.endswith(".json")
        told[name] = without_statistics(content) if is_commit else content
    assert "4 rows" in shown.out or "rows scored" in shown.out
    assert b"rows_per_s" in told["mlflow.db"]
    assert any(name.startswith("sink/_embercast/") for name in told)
    leaks = [name for name, content in told.items() if SECRET.encode() in content or TEXT.encode() in content]
    assert leaks == []


def test_what_spark_quotes_of_a_row_is_not_told(
    spark: SparkSession, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    add(spark, tmp_path, [f"a good {TEXT}"])
    job = define(tmp_path, sentiment, source={"where": "CAST(body AS INT) > 3"})
    for go in (plan, run):
        with pytest.raises(RunError, match=r"Spark ended with .*CAST_INVALID_INPUT") as raised:
            go(job, spark=spark)
        assert TEXT in str(raised.value.__cause__)
        assert TEXT not in str(raised.value)
