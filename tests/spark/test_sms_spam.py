"""Real input: a spam filter fitted on one half of real messages is run over the other half."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.shared import MESSAGES, needs_messages

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


pytestmark = [
    pytest.mark.spark,
    pytest.mark.weights,
    needs_messages,
]

JOB = """\
version: 1
name: sms_spam
model: models:/spam@champion
source:
  path: {folder}/messages
  key: [message_id]
  inputs: {{text: body}}
sink:
  path: {folder}/scored
  output: spam
"""


def test_spam_is_told_from_ham(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_testsuite_property: Any
) -> None:
    from demo.models import fit_head, log_classifier, use_folder
    from jobs.cli import app

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "Default")  # put back afterwards: use_folder sets it
    messages = read()
    half = len(messages) // 2
    model, tokenizer = fit_head(
        [body for _, _, body in messages[:half]],
        [label for _, label, _ in messages[:half]],
        ("ham", "spam"),
        layers=1,
        epochs=1,
        batch_size=32,
    )
    use_folder(tmp_path / "artifacts")
    assert log_classifier("spam", model, tokenizer) == "1"
    rest = spark.createDataFrame(messages[half:], "message_id INT, label STRING, body STRING")
    rest.write.format("delta").save(f"{tmp_path}/messages")
    (tmp_path / "job.yaml").write_text(JOB.format(folder=tmp_path))

    command = ["run", f"{tmp_path}/job.yaml", "--summary", f"{tmp_path}/summary.json"]
    assert not app(command, standalone_mode=False)

    scored = spark.read.format("delta").load(f"{tmp_path}/scored").collect()
    expected = {message_id: label for message_id, label, _ in messages[half:]}
    assert len(scored) == len(expected) == 2787
    assert {row.message_id for row in scored} == expected.keys()
    assert all(row.spam.error is None and row._model_version == "1" for row in scored)
    right = sum(row.spam.label == expected[row.message_id] for row in scored)
    summary = json.loads((tmp_path / "summary.json").read_text())
    record_testsuite_property("sms_spam_accuracy", right / len(scored))  # a test's own property is no part of xunit2
    record_testsuite_property("sms_spam_summary", json.dumps(summary))
    assert right / len(scored) >= 0.96  # 0.986 in bfloat16


def read() -> list[tuple[int, str, str]]:
    """(line number, ham or spam, message), in the order of the file."""
    with MESSAGES.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    return [(i, label, body) for i, (label, body) in enumerate(rows)]
