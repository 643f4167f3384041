"""Models that stock MLflow logged, of this release and of 2, are new versions that answer through this engine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import torch
import transformers
import yaml
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

import udfs.pyfunc
from engine.errors import ModelError, UnsafeModelError, UnsupportedTaskError
from engine.models.bundle import make_bundle
from engine.models.registry import locate, resolve
from tests import tiny

pytestmark = [
    pytest.mark.usefixtures("registry"),
    pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses"),
]

LEGACY = Path(__file__).parents[3] / "legacy" / "data"
TEXTS = ["the people who were there", "it was a good day and they would come again", "how can you know"]
FLOAT32 = {"dtype": "float32"}


def test_a_stock_model_becomes_a_version_with_both_flavors(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", num_labels=3)
    model = transformers.pipeline("text-classification", str(folder), dtype=torch.float32)
    params = ParamSchema([ParamSpec("top_k", "long", 2), ParamSpec("padding", "boolean", True)])
    with mlflow.start_run():
        mlflow.transformers.log_model(
            model,
            name="model",
            registered_model_name="feelings",
            signature=ModelSignature(Schema([ColSpec("string")]), Schema([ColSpec("string", "label")]), params),
            metadata={"team": "search"},
            pip_requirements=["torch"],
            model_config={"batch_size": 4},
        )
    assert udfs.pyfunc.adopt("models:/feelings/1", alias="champion", definition=FLOAT32) == "models:/feelings/2"
    logged = mlflow.models.Model.load("models:/feelings@champion")
    assert logged.metadata == {"team": "search", "adopted_from": "models:/feelings/1"}
    assert logged.flavors["transformers"] == mlflow.models.Model.load("models:/feelings/1").flavors["transformers"]
    assert logged.flavors["python_function"]["config"] == {"top_k": 2}
    assert {one.name: one.default for one in logged.signature.params.params}["top_k"] == 2
    old, new = (make_bundle(resolve(f"models:/feelings/{version}"), "float32").digest for version in "12")
    assert old == new
    assert mlflow.transformers.load_model("models:/feelings/2")("a") == model("a")
    found = mlflow.pyfunc.load_model("models:/feelings/2").predict(pd.DataFrame({"text": ["a good day"]}))
    expected = model("a good day", top_k=2)
    assert [one["label"] for one in found["scores"][0]] == [one["label"] for one in expected]
    assert [one["score"] for one in found["scores"][0]] == pytest.approx([one["score"] for one in expected], abs=1e-5)


def legacy(name: str) -> str:
    """A folder of MLflow 2 as a version."""
    return f"models:/{name}/{mlflow.register_model(str(LEGACY / name), name).version}"


@pytest.mark.parametrize("name", ["t5_summarization", "marian_translation", "bart_text2text", "t5_translation"])
def test_texts_of_mlflow_2_are_what_they_were(name: str) -> None:
    pinned = udfs.pyfunc.adopt(legacy(name), definition=FLOAT32)
    then = json.loads((LEGACY / name / "expected.json").read_text())["rows"]
    found = mlflow.pyfunc.load_model(pinned).predict(pd.DataFrame({"text": TEXTS}))
    assert found["text"].tolist() == [next(iter(one.values())) for one in then]
    kept = mlflow.transformers.load_model(pinned, return_type="components")["model"].state_dict()
    assert kept.keys() == make_model(LEGACY / name).keys()


def make_model(folder: Path) -> dict[str, Any]:
    model: Any = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder / "model")
    found: dict[str, Any] = model.state_dict()
    return found


def test_answers_of_mlflow_2_are_what_they_were() -> None:
    then = json.loads((LEGACY / "bert_question_answering" / "expected.json").read_text())
    pinned = udfs.pyfunc.adopt(legacy("bert_question_answering"), definition=FLOAT32, name="answers")
    assert pinned == "models:/answers/1"
    found = mlflow.pyfunc.load_model(pinned).predict(pd.DataFrame(then["inputs"]))
    assert found["answer"].tolist() == [one["answer"] for one in then["rows"]]
    assert found["score"].tolist() == pytest.approx([one["score"] for one in then["rows"]], abs=1e-5)


def test_an_adapter_of_mlflow_2_keeps_its_base() -> None:
    pinned = udfs.pyfunc.adopt(legacy("bert_lora"), definition=FLOAT32)
    then = json.loads((LEGACY / "bert_lora" / "expected.json").read_text())["rows"]
    found = mlflow.pyfunc.load_model(pinned).predict(pd.DataFrame({"text": TEXTS}))
    for row, expected in zip(found["scores"], then, strict=True):
        assert {one["label"]: one["score"] for one in row} == pytest.approx(
            {one["label"]: one["score"] for one in expected}, abs=1e-5
        )


def test_a_model_logged_here_is_brought_to_this_release(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model")
    with mlflow.start_run() as run:
        info = udfs.pyfunc.log_model(
            str(folder), name="model", input_example="a", model_config={"top_k": 1}, definition={"batch_tokens": 99}
        )
        pinned = udfs.pyfunc.adopt(info.model_uri, name="feelings", definition=FLOAT32)
    own = mlflow.models.Model.load(pinned).flavors["python_function"]["embercast"]
    assert (own["batch_tokens"], own["dtype"]) == (99, "float32")
    assert mlflow.active_run() is None
    assert run.info.run_id == mlflow.get_logged_model(info.model_id).source_run_id
    logged = mlflow.models.Model.load(pinned)
    assert logged.metadata == {"adopted_from": info.model_uri}
    assert logged.load_input_example(str(locate(pinned).root)).to_dict("list") == {"text": ["a"]}
    assert resolve(pinned).params["top_k"] == 1


def test_what_can_not_be_adopted(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model")
    with pytest.raises(ModelError, match=r"expected a model that MLflow logged, .* has no MLmodel: embercast log"):
        udfs.pyfunc.adopt(str(folder), name="feelings")
    with pytest.raises(ModelError, match=r"expected a version of a registered model, got .*: give name="):
        udfs.pyfunc.adopt(str(LEGACY / "bert_lora"))
    with pytest.raises(UnsafeModelError, match="unpickled"):
        udfs.pyfunc.adopt(str(LEGACY / "pickled_question_answering"), name="answers")
    copy = shutil.copytree(LEGACY / "bert_lora", tmp_path / "copy")
    logged = yaml.safe_load((copy / "MLmodel").read_text())
    logged["flavors"]["transformers"]["task"] = "image-to-text"
    (copy / "MLmodel").write_text(yaml.safe_dump(logged))
    with pytest.raises(UnsupportedTaskError, match="images and video"):
        udfs.pyfunc.adopt(str(copy), name="feelings")
    assert mlflow.MlflowClient().search_registered_models() == []
