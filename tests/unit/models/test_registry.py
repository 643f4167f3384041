"""From a URI to pinned files: MLflow on sqlite, models logged by stock ``mlflow.transformers.log_model``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from engine.errors import (
    EmbercastError,
    ForbiddenModelError,
    ModelError,
    ModelNotFoundError,
    UnsafeModelError,
    UnsupportedTaskError,
)
from engine.models.bundle import make_bundle
from engine.models.registry import pin, resolve
from tests import tiny

pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),  # of MLflow's own mappings
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),  # of its own types
]


@dataclass(frozen=True)
class Registry:
    """A registered model with two versions of other weights; version 1 by its other names, and its folder."""

    run: str
    model_id: str
    folder: Path


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    home = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
        patch.chdir(home)
        import mlflow

        experiment = mlflow.create_experiment("registry", artifact_location=(home / "artifacts").as_uri())
        first = log(home / "one", experiment, seed=1)
        log(home / "two", experiment, seed=2)
        folder = mlflow.artifacts.download_artifacts("models:/sentiment/1", dst_path=str(home / "downloaded"))
        yield Registry(first.run_id, first.model_id, Path(folder))


def log(folder: Path, experiment: str, *, seed: int) -> Any:
    """Logs a tiny classifier in bfloat16 as anybody would, with what spares MLflow running it and asking pip."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tiny.save(folder, num_labels=3, seed=seed)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16)
    with mlflow.start_run(experiment_id=experiment):
        return mlflow.transformers.log_model(
            {"model": model, "tokenizer": AutoTokenizer.from_pretrained(folder)},
            name="model",
            task="text-classification",
            signature=ModelSignature(Schema([ColSpec("string")]), Schema([ColSpec("string", "label")])),
            pip_requirements=["torch", "transformers"],
            registered_model_name="sentiment",
        )


def alias(version: str) -> None:
    import mlflow

    mlflow.MlflowClient().set_registered_model_alias("sentiment", "champion", version)


def test_an_alias_is_pinned_when_it_is_resolved(registry: Registry) -> None:
    alias("1")
    before = resolve("models:/sentiment@champion")
    assert (before.uri, before.pinned, before.version) == ("models:/sentiment@champion", "models:/sentiment/1", "1")
    assert (before.task, before.dtype) == ("text-classification", "bfloat16")
    alias("2")
    after = resolve("models:/sentiment@champion")
    assert (after.pinned, after.version) == ("models:/sentiment/2", "2")
    assert pin(before.pinned) == ("models:/sentiment/1", "1")
    digests = [make_bundle(ref, "bfloat16").digest for ref in (before, resolve(before.pinned), after)]
    assert digests[0] == digests[1] != digests[2]


def test_a_version_has_other_names(registry: Registry) -> None:
    expected = make_bundle(resolve("models:/sentiment/1"), "bfloat16").digest
    for uri in (f"runs:/{registry.run}/model", f"models:/{registry.model_id}", str(registry.folder)):
        ref = resolve(uri)
        assert (ref.uri, ref.pinned, ref.version) == (uri, uri, None)
        assert make_bundle(ref, "bfloat16").digest == expected


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("models:/nothing@champion", ["expected models:/nothing@champion in the registry at sqlite", "Check the name"]),
        ("models:/sentiment@nobody", ["expected models:/sentiment@nobody in the registry"]),
        ("models:/sentiment/9", ["expected models:/sentiment/9 in the registry", "MLFLOW_TRACKING_URI"]),
        ("models:/sentiment", ["expected models:/name@alias or models:/name/3, got models:/sentiment"]),
        ("models:/sentiment/latest", ["expected models:/name@alias or models:/name/3"]),
        ("models:/m-0123", ["expected the files of models:/m-0123 in the artifact store"]),
        ("runs://ann@databricks/0123/model", ["expected runs:/id/path, got runs://ann"]),
        ("runs:/0123/model", ["expected the files of runs:/0123/model in the artifact store"]),
        ("s3://bucket/model", ["runs:/id/path or a folder, got s3://bucket/model"]),
        ("hub/of/nobody", ["expected a folder with a model at hub/of/nobody, there is none"]),
    ],
)
def test_what_is_not_there_is_named(uri: str, words: list[str]) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        resolve(uri)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.usefixtures("registry")
def test_a_policy_is_asked_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists: dict[str, Any] = {key: ["*"] for key in ("registries", "models", "hub", "folders", "licences")}
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump({"version": 1, **lists}))
    monkeypatch.setenv("EMBERCAST_POLICY", str(file))
    resolve("models:/sentiment/1")
    monkeypatch.setattr("engine.models.registry._download", lambda pinned: pytest.fail(f"{pinned} was fetched"))
    for refused, words in (
        ({"models": ["team_*"]}, "it is called sentiment, and models are"),
        ({"registries": ["https://*"]}, "it is in the registry sqlite:"),
    ):
        file.write_text(yaml.safe_dump({"version": 1, **lists, **refused}))
        with pytest.raises(ForbiddenModelError, match=words):
            resolve("models:/sentiment/1")


def flavor_without(*names: str, **others: str) -> Callable[[Path], None]:
    """Takes entries out of a logged model's transformers flavor, and puts others in."""

    def change(folder: Path) -> None:
        logged = yaml.safe_load((folder / "MLmodel").read_text())
        flavor = logged["flavors"]["transformers"]
        for name in names:
            del flavor[name]
        flavor.update(others)
        (folder / "MLmodel").write_text(yaml.safe_dump(logged))

    return change


def only_pickled(folder: Path) -> None:
    (folder / "model" / "model.safetensors").rename(folder / "model" / "pytorch_model.bin")


def with_own_code(folder: Path) -> None:
    path = folder / "model" / "config.json"
    path.write_text(path.read_text().replace("{", '{"auto_map": {"AutoModel": "modeling.Own"},', 1))


def without_transformers(folder: Path) -> None:
    logged = yaml.safe_load((folder / "MLmodel").read_text())
    del logged["flavors"]["transformers"]
    (folder / "MLmodel").write_text(yaml.safe_dump(logged))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            flavor_without("model_binary", source_model_name="hub/name"),
            ModelError,
            "to hold its weights; it only names hub/name (save_pretrained=False). Run mlflow.transformers.persist_pret",
        ),
        (flavor_without("task"), UnsupportedTaskError, "was logged without a task: give one, `embercast tasks` lists"),
        (flavor_without(task="fill-mask"), UnsupportedTaskError, "…ForMaskedLM or …ForPreTraining or "),
        (
            flavor_without(task="text-to-poetry"),
            UnsupportedTaskError,
            "among text-classification, token-classification",
        ),
        (flavor_without(task="vqa"), UnsupportedTaskError, "expected a task on texts or audio, got vqa: images and"),
        (flavor_without(framework="tf"), ModelError, "was logged with TensorFlow's or Flax's: load it with transform"),
        (without_transformers, UnsafeModelError, "scoring it runs the code it was logged with"),
        (only_pickled, UnsafeModelError, "found only pytorch_model.bin, which is unpickled to be read"),
        (with_own_code, UnsafeModelError, "has an auto_map: loading it would run the model's own code"),
        (lambda f: (f / "model" / "model.safetensors").unlink(), ModelError, "expected weights (*.safetensors) in"),
        (lambda f: shutil.rmtree(f / "model"), ModelNotFoundError, "expected a transformers model with a config.json"),
    ],
)
def test_logged_models_that_cannot_be_scored(
    registry: Registry, tmp_path: Path, change: Callable[[Path], None], error: type[EmbercastError], words: str
) -> None:
    folder = shutil.copytree(registry.folder, tmp_path / "model")
    change(folder)
    with pytest.raises(error) as caught:
        resolve(str(folder))
    assert type(caught.value) is error
    assert words in str(caught.value)


def test_a_task_asked_for_wins_over_the_logged_one(registry: Registry, tmp_path: Path) -> None:
    folder = shutil.copytree(registry.folder, tmp_path / "model")
    flavor_without(task="feature-extraction")(folder)
    assert resolve(str(folder)).task == "feature-extraction"
    assert resolve(str(folder), task="embeddings").task == "embeddings"
    assert resolve(str(folder), task="text-classification").task == "text-classification"


def test_a_model_logged_for_a_served_task_is_scored_for_it(registry: Registry, tmp_path: Path) -> None:
    folder = shutil.copytree(registry.folder, tmp_path / "model")
    flavor_without(task="feature-extraction", inference_task="llm/v1/embeddings")(folder)
    assert resolve(str(folder)).task == "llm/v1/embeddings"
    flavor_without(task="text-classification", inference_task="llm/v1/none")(folder)
    with pytest.raises(UnsupportedTaskError, match=r"expected a task among .*; got 'llm/v1/none'"):
        resolve(str(folder))


def test_a_model_logged_under_a_tasks_other_name_is_scored(registry: Registry, tmp_path: Path) -> None:
    folder = shutil.copytree(registry.folder, tmp_path / "model")
    flavor_without(task="sentiment-analysis")(folder)
    assert resolve(str(folder)).task == "text-classification"
    flavor_without(task="fill-mask")(folder)
    assert resolve(str(folder), task="sentiment-analysis").task == "text-classification"


def test_a_task_the_model_does_not_have(tmp_path: Path) -> None:
    encoder = tiny.save(tmp_path / "encoder", head="")
    with pytest.raises(
        UnsupportedTaskError, match="ForSequenceClassification for text-classification, the model is Bert"
    ):
        resolve(str(encoder), task="text-classification")
    with pytest.raises(UnsupportedTaskError, match="does not say its task: give one"):
        resolve(str(encoder))
    assert resolve(str(encoder), task="embeddings").task == "embeddings"


def test_a_folder_is_pinned_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.save(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    for uri in ("model", "./model", f"file://{folder}"):
        ref = resolve(uri)
        assert (ref.pinned, ref.version, ref.task) == (str(folder), None, "text-classification")


def test_downloads_end_with_the_process(registry: Registry, tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "from engine.models.registry import resolve; print(resolve('models:/sentiment/1').model_dir)"
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(tmp_path))
    assert list(tmp_path.glob("embercast-*")) == []
