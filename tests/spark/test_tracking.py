"""What MLflow is told of a run: its tables with their versions, its model, and some of its answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.cli import app
from jobs.tracking.record import PAGE
from tests import chats
from tests.faults import fault
from tests.pages import held
from tests.spark.job import add, define, rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

BODIES = ["a good day", "they were not there", "now", "more than words can say"]


@pytest.fixture(scope="module", autouse=True)
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One database for the module: making its tables takes seconds. Traces go where the process sent its first one."""
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path_factory.mktemp('tracking')}/mlflow.db")
        mlflow.tracing.reset()
        yield
        mlflow.tracing.reset()


@pytest.fixture
def experiment(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of an experiment of the test's own."""
    import mlflow

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    made: str = mlflow.create_experiment(request.node.name, artifact_location=f"file://{tmp_path}/artifacts")
    return made


def embercast_run(folder: Path, *options: str) -> int:
    """The exit code of ``embercast run`` for the job that ``define`` wrote."""
    return int(app(["run", f"{folder}/job.yaml", *options], standalone_mode=False) or 0)


def runs(experiment: str) -> list[Any]:
    """The experiment's runs, the first one first, each with its models, which a search leaves out."""
    import mlflow

    found = mlflow.search_runs([experiment], output_format="list", order_by=["attributes.start_time ASC"])
    return [mlflow.get_run(one.info.run_id) for one in found]


def datasets(run: Any) -> dict[str, Any]:
    """Context → dataset."""
    return {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs}


def columns(dataset: Any) -> dict[str, str]:
    return {one["name"]: one["type"] for one in json.loads(dataset.schema)["mlflow_colspec"]}


def test_a_run_has_its_tables_with_their_versions_and_its_model(
    spark: SparkSession, sentiment: Path, tmp_path: Path, experiment: str
) -> None:
    import mlflow
    from delta.tables import DeltaTable

    from jobs.log import log_folder

    pinned = log_folder(sentiment, name="tracked", task=None)
    definition = define(tmp_path, "models:/tracked@champion")
    add(spark, tmp_path, BODIES)
    assert embercast_run(tmp_path) == 0
    add(spark, tmp_path, ["new words"], first=100)
    assert embercast_run(tmp_path) == 0
    assert embercast_run(tmp_path) == 0

    first, second, nothing = (run for run in runs(experiment) if run.info.run_name == "reviews")
    assert {run.info.status for run in (first, second, nothing)} == {"FINISHED"}
    assert [run.data.metrics["rows"] for run in (first, second, nothing)] == [4, 1, 0]
    assert set(datasets(nothing)) == {"input"}
    pages = [mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{PAGE}") for run in (first, second)]
    assert [held(page, "figures")["lines"][0][1:] for page in pages] == [["4", "4"], ["1", "1"]]
    read, written = datasets(first)["input"], datasets(first)["output"]
    assert (read.name, written.name) == (definition.source.shown, definition.sink.shown)
    assert (read.source_type, written.source_type) == ("delta_table", "delta_table")
    detail = DeltaTable.forPath(spark, f"{tmp_path}/source").detail().first()
    assert detail is not None
    told = json.loads(read.source)
    assert (told["path"], told["delta_table_version"]) == (detail["location"], 0)
    assert json.loads(written.source)["delta_table_version"] == 1
    assert json.loads(datasets(second)["input"].source)["delta_table_version"] == 1
    assert read.digest != datasets(second)["input"].digest
    assert columns(read) == {"id": "integer", "product": "string", "body": "string"}
    assert columns(written)["sentiment"] == "object"
    assert mlflow.data.get_source(read).load().count() == 4
    assert mlflow.data.get_source(written).load().where("sentiment.error IS NULL").count() == 4

    model = mlflow.models.get_model_info(pinned)
    assert first.data.params["model"] == pinned
    assert [one.model_id for one in first.inputs.model_inputs] == [model.model_id]
    on_its_page = mlflow.get_logged_model(model.model_id).metrics
    assert {one.value for one in on_its_page if one.key == "rows"} == {4, 1, 0}


def test_files_have_no_version(
    spark: SparkSession, sentiment: Path, tmp_path: Path, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INBOX", f"{tmp_path}/source")
    source = {"path": "${env:INBOX}", "format": "json", "schema": "id INT, product STRING, body STRING"}
    define(tmp_path, sentiment, source=source)
    for number in range(2):
        rows(spark, BODIES[:2], first=2 * number).write.mode("append").json(f"{tmp_path}/source")
        assert embercast_run(tmp_path) == 0
    first, second = (datasets(run)["input"] for run in runs(experiment))
    assert (first.name, first.source_type, json.loads(first.source)) == (
        *("${env:INBOX}", "spark"),
        {"path": "${env:INBOX}"},
    )
    assert first.digest != second.digest
    assert columns(first) == {"id": "integer", "product": "string", "body": "string"}
    assert [one.inputs.model_inputs for one in runs(experiment)] == [[], []]


@fault(
    "the tracking server goes away while rows are scored",
    of="runs",
    seen="a warning: MLflow does not have all of the record; the job is done",
    left="nothing",
)
def test_a_server_that_goes_away_while_rows_are_scored_fails_no_job(
    spark: SparkSession,
    sentiment: Path,
    tmp_path: Path,
    experiment: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import mlflow

    def refuse(*_: Any, **__: Any) -> None:
        raise mlflow.MlflowException("the server is gone")

    monkeypatch.setattr(mlflow, "log_params", refuse)
    monkeypatch.setattr(mlflow, "end_run", refuse)
    define(tmp_path, sentiment)
    add(spark, tmp_path, BODIES)
    assert embercast_run(tmp_path, "--summary", f"{tmp_path}/summary.json") == 0
    monkeypatch.undo()
    mlflow.end_run()
    assert json.loads((tmp_path / "summary.json").read_text())["rows"] == 4
    assert [line.partition(" (")[0].partition(" and ")[2] for line in caplog.messages if "is gone" in line] == [
        "its rows are in the sink; MLflow does not have all of its record",
        "",
    ]


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chats.save(tmp_path_factory.mktemp("chats"))


TALKS: list[Any] = [
    [{"role": "user", "content": "what can they do"}],
    [{"role": "system", "content": "be kind"}, {"role": "user", "content": "so many people"}],
    [{"role": "wizard", "content": "go"}],
    None,
]


def ask(spark: SparkSession, folder: Path, first: int = 0) -> None:
    numbered = [
        (first + at, talk and [(one["role"], one["content"]) for one in talk], "p0") for at, talk in enumerate(TALKS)
    ]
    kind = "id INT, body ARRAY<STRUCT<role: STRING, content: STRING>>, product STRING"
    spark.createDataFrame(numbered, kind).coalesce(1).write.format("delta").mode("append").save(f"{folder}/source")


def traces_of(run: Any) -> list[Any]:
    import mlflow

    found: list[Any] = mlflow.search_traces(
        locations=[run.info.experiment_id], run_id=run.info.run_id, return_type="list"
    )
    return found


def test_some_answers_become_traces_and_what_was_said_only_where_asked_for(
    spark: SparkSession, chat: Path, tmp_path: Path, experiment: str
) -> None:
    sections: dict[str, Any] = {
        "task": "llm/v1/chat",
        "source": {"inputs": {"messages": "body"}},
        "params": {"max_tokens": 4, "logprobs": True},
        "sink": {"output": "answer"},
        "errors": {"max_fraction": 1.0},
    }
    define(tmp_path, chat, **sections, tracking={"traces": 10})
    ask(spark, tmp_path)
    assert embercast_run(tmp_path) == 0
    define(tmp_path, chat, **sections, tracking={"traces": 2, "trace_text": True})
    ask(spark, tmp_path, first=100)
    assert embercast_run(tmp_path) == 0

    silent, telling = (traces_of(run) for run in runs(experiment))
    sink = {row["id"]: row for row in spark.read.format("delta").load(f"{tmp_path}/sink").collect()}
    assert len(silent) == 3  # the null row has no answer
    spans = [trace.data.spans[0] for trace in silent]
    assert {span.span_type for span in spans} == {"CHAT_MODEL"}
    answered = {span.outputs["id"]: span for span in spans if span.outputs}
    assert set(answered) == {sink[0]["answer"]["id"], sink[1]["answer"]["id"]}
    for at in (0, 1):
        answer, span = sink[at]["answer"], answered[sink[at]["answer"]["id"]]
        assert span.outputs["choices"] == [{"index": 0, "finish_reason": answer["choices"][0]["finish_reason"]}]
        assert span.attributes["mlflow.chat.tokenUsage"] == {
            "input_tokens": answer["usage"]["prompt_tokens"],
            "output_tokens": answer["usage"]["completion_tokens"],
            "total_tokens": answer["usage"]["total_tokens"],
        }
        assert span.start_time_ns == span.end_time_ns
    (failed,) = (span for span in spans if not span.outputs)
    assert (failed.status.status_code.value, failed.attributes["embercast.error.code"]) == ("ERROR", "template_refused")
    everything = json.dumps([trace.to_dict() for trace in silent])
    said = [sink[at]["answer"]["choices"][0]["message"]["content"] for at in (0, 1)]
    assert not [
        text for text in ("what can they do", "so many people", "be kind", *said) if text and text in everything
    ]

    assert len(telling) == 2
    for span in (trace.data.spans[0] for trace in telling):
        at = next(at for at, talk in enumerate(TALKS) if talk == span.inputs["messages"])
        if span.outputs:
            answer = sink[100 + at]["answer"]
            assert span.outputs["id"] == answer["id"]
            assert span.outputs["choices"][0]["message"]["content"] == answer["choices"][0]["message"]["content"]
            assert "logprobs" not in span.outputs["choices"][0]
    assert {trace.info.trace_metadata["mlflow.sourceRun"] for trace in telling} == {runs(experiment)[1].info.run_id}
