"""A model is logged into a run, registered and pointed at; what can't be logged leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

import udfs.pyfunc
from engine.errors import ParameterError
from engine.models.registry import resolve
from tests import tiny

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.save(tmp_path / "model")


def test_a_run_has_what_mlflow_gives_it(folder: Path) -> None:
    with mlflow.start_run() as run:
        info = udfs.pyfunc.log_model(
            str(folder),
            name="sentiment",
            registered_model_name="feelings",
            alias="champion",
            metadata={"team": "search"},
            params={"epochs": 3},
            tags={"stage": "trial"},
            model_type="classifier",
            step=2,
            model_config={"top_k": 2},
            input_example="a good day",
        )
    logged = mlflow.get_logged_model(info.model_id)
    assert (logged.name, logged.model_type, logged.source_run_id) == ("sentiment", "classifier", run.info.run_id)
    assert (logged.params["epochs"], logged.tags["stage"]) == ("3", "trial")
    assert mlflow.get_run(run.info.run_id).data.params == {"top_k": "2"}
    assert mlflow.get_run(run.info.run_id).outputs.model_outputs[0].step == 2
    assert info.metadata == {"team": "search"}
    ref = resolve("models:/feelings@champion")
    assert (ref.pinned, ref.task, ref.params["top_k"]) == ("models:/feelings/1", "text-classification", 2)
    pipeline = mlflow.transformers.load_model("models:/feelings@champion")
    assert type(pipeline).__name__ == "TextClassificationPipeline"


def test_a_run_may_be_named(folder: Path) -> None:
    with mlflow.start_run() as run:
        pass
    info = udfs.pyfunc.log_model(str(folder), name="sentiment", run_id=run.info.run_id)
    assert info.run_id == run.info.run_id
    assert mlflow.active_run() is None


def test_a_mistake_registers_nothing(folder: Path) -> None:
    with mlflow.start_run():
        with pytest.raises(ParameterError, match="expected registered_model_name with the alias champion"):
            udfs.pyfunc.log_model(str(folder), name="sentiment", alias="champion")
        with pytest.raises(ParameterError, match="expected top_k"):
            udfs.pyfunc.log_model(
                str(folder), name="sentiment", registered_model_name="feelings", model_config={"top_k": "all"}
            )
        with pytest.raises(TypeError, match="model_configuration"):
            udfs.pyfunc.log_model(str(folder), name="sentiment", model_configuration={"top_k": 1})
    assert mlflow.MlflowClient().search_registered_models() == []
