"""A run of a job as a run of MLflow, and what happens where MLflow is not there."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.definition import JobDefinition, made
from jobs.errors import RunError, TooManyFailedRowsError
from jobs.report import publish
from jobs.summary import Summary
from jobs.tracking.record import PAGE, Record, split
from tests.summaries import SUMMARY as DONE

#: By a folder, and of no table: it has no versions.
SUMMARY = replace(DONE, model="/models/sentiment", version=None, source_version=None, sink_version=None)


def job(**tracking: Any) -> JobDefinition:
    return made(
        {
            "version": 1,
            "name": "reviews",
            "model": "/models/sentiment",
            "source": {"table": "reviews", "key": ["id"], "inputs": "body"},
            "sink": {"table": "reviews_scored"},
            "tracking": tracking,
        }
    )


def record(**tracking: Any) -> Record:
    no_spark: Any = None  # a summary without versions names no tables
    return Record(job(**tracking), no_spark)


def runs(experiment: str) -> list[Any]:
    import mlflow

    found: list[Any] = mlflow.search_runs([experiment], output_format="list")
    return found


def test_a_run_is_open_while_the_job_runs_and_told_once_it_is_done(experiment: str) -> None:
    with record() as opened:
        (running,) = runs(experiment)
        assert (running.info.status, running.info.run_name) == ("RUNNING", "reviews")
        assert running.data.tags["embercast.identity"] == job().identity
        assert running.data.metrics == {}
        opened.done(SUMMARY)
    (done,) = runs(experiment)
    assert (done.info.run_id, done.info.status) == (running.info.run_id, "FINISHED")
    assert done.data.metrics["rows"] == 2000
    assert done.data.metrics["planned.rows_per_s"] == 250
    assert done.data.params["digest"] == "ab" * 32
    assert "version" not in done.data.params
    assert (done.inputs.dataset_inputs, done.inputs.model_inputs) == ([], [])


@pytest.mark.parametrize(("error", "status"), [(RunError("secret"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_run_that_failed_says_so_without_the_message(experiment: str, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), record():
        raise error
    (found,) = runs(experiment)
    assert (found.info.status, found.data.tags["embercast.error"]) == (status, type(error).__name__)
    assert "secret" not in str(found.data.tags)


def test_too_many_failed_rows_are_a_failed_run_with_its_summary(experiment: str) -> None:
    def fail() -> None:
        with record() as opened:
            opened.done(SUMMARY)
            raise TooManyFailedRowsError("10 of 2,000 rows failed", SUMMARY)

    with pytest.raises(TooManyFailedRowsError):
        fail()
    (found,) = runs(experiment)
    assert (found.info.status, found.data.metrics["failed"]) == ("FAILED", 10)


class Page:
    """Stands in for one that reads the sink."""

    path = None

    def html(self, summary: Summary) -> str:
        if not summary.failed:
            raise OSError("a file is gone")
        return f"<p>{summary.run_id}</p>"


def test_the_page_of_a_run_is_one_of_its_artifacts(experiment: str, caplog: pytest.LogCaptureFixture) -> None:
    import mlflow

    page: Any = Page()
    with record() as opened:
        publish(SUMMARY, record=opened, page=page)
    (found,) = runs(experiment)
    assert mlflow.artifacts.load_text(f"{found.info.artifact_uri}/{PAGE}") == "<p>0123456789abcdef-1</p>"
    assert caplog.messages == []
    with record() as opened:
        publish(replace(SUMMARY, failed=0), record=opened, page=page)
    assert [line.rpartition("(")[2] for line in caplog.messages] == ["OSError: a file is gone)"]
    assert {run.data.metrics["failed"] for run in runs(experiment)} == {10, 0}


def test_a_job_may_leave_the_page_out(experiment: str) -> None:
    import mlflow

    page: Any = Page()
    with record(page=False) as opened:
        publish(SUMMARY, record=opened, page=page)
    (found,) = runs(experiment)
    assert mlflow.MlflowClient().list_artifacts(found.info.run_id) == []
    assert found.data.metrics["failed"] == 10


def test_without_a_server_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with record() as opened:
        opened.done(SUMMARY)
    assert caplog.messages == []
    with record(system_metrics=True) as opened:
        opened.done(SUMMARY)
    assert caplog.messages == [
        "tracking: expected MLFLOW_TRACKING_URI to name a server, it is unset: nothing is told to MLflow"
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_fails_nothing_and_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hunter2@127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with caplog.at_level(logging.WARNING, "embercast"), record() as opened:
        publish(SUMMARY, path=tmp_path / "summary.json", record=opened)
    assert (tmp_path / "summary.json").exists()
    at_first, at_last = [line for line in caplog.messages if "127.0.0.1" in line]
    assert at_first.startswith("the run goes on, and is told to MLflow when it is done (MlflowException: ")
    assert at_last.startswith("run 0123456789abcdef-1 is done and its rows are in the sink; MLflow does not have all")
    assert "hunter2" not in caplog.text


def test_a_server_that_comes_back_is_told_at_the_end(
    experiment: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import mlflow

    with monkeypatch.context() as down:
        down.setattr(mlflow, "start_run", refuse)
        opened = record().__enter__()
    opened.done(SUMMARY)
    opened.__exit__(None, None, None)
    (found,) = runs(experiment)
    assert (found.info.status, found.data.metrics["rows"]) == ("FINISHED", 2000)
    assert len(caplog.messages) == 1


def test_a_server_that_goes_away_is_said(
    experiment: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import mlflow

    monkeypatch.setattr(mlflow, "log_metrics", refuse)
    with record() as opened:
        opened.done(SUMMARY)
    (found,) = runs(experiment)
    assert (found.info.status, found.data.metrics) == ("FINISHED", {})
    assert caplog.messages == [
        "run 0123456789abcdef-1 is done and its rows are in the sink; MLflow does not have all of its record "
        "(OSError: gone)"
    ]


def test_what_spark_says_may_quote_rows_and_is_not_said(
    experiment: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from pyspark.errors import PySparkValueError

    from jobs.tracking import datasets

    def fail(*_: Any) -> None:
        raise PySparkValueError("the value 'a customer' of the type STRING cannot be cast")

    monkeypatch.setattr(datasets, "touched", fail)
    with record() as opened:
        opened.done(SUMMARY)
    assert [line.partition("(")[2] for line in caplog.messages] == ["PySparkValueError)"]
    assert runs(experiment)[0].data.metrics["rows"] == 2000


def refuse(*_: Any, **__: Any) -> None:
    raise OSError("gone")


def test_the_drivers_machine_is_sampled_where_asked(experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    with record(system_metrics=True):
        until = time.monotonic() + 20
        while not runs(experiment)[0].data.metrics and time.monotonic() < until:
            time.sleep(0.2)
    (found,) = runs(experiment)
    assert found.data.metrics["system/cpu_utilization_percentage"] >= 0


def test_figures_are_metrics_and_words_are_parameters() -> None:
    told = split({"rows": 3, "model": "m", "version": None, "planned": {"rows": 4, "audio": None, "of": {"a": "b"}}})
    assert told == ({"rows": 3.0, "planned.rows": 4.0}, {"model": "m", "planned.of.a": "b"})
