"""Models that are logged by their name and commit: from a Hugging Face cache laid out by hand, and no network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
import transformers
import yaml
from huggingface_hub import constants

import udfs.pyfunc
from engine.errors import ModelError, ModelNotFoundError
from engine.models import hub
from engine.models.bundle import make_bundle
from engine.models.registry import resolve
from tests import tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LATER = COMMIT[::-1]
NAME = "people/sentiment"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a tiny classifier in it as ``from_pretrained`` would leave it there, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    made = tmp_path / "hub" / f"models--{NAME.replace('/', '--')}"
    snapshot = tiny.save(made / "snapshots" / COMMIT, num_labels=3)
    (snapshot / "README.md").write_text("---\nlicense: mit\n---\nWhat people feel.\n")
    refer(made, COMMIT)
    return made


def refer(home: Path, commit: str) -> None:
    (home / "refs").mkdir(exist_ok=True)
    (home / "refs" / "main").write_text(commit)


def flavor(artifact: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((artifact / "MLmodel").read_text())["flavors"]["transformers"]
    return found


def digest(uri: Path) -> str:
    return make_bundle(resolve(str(uri)), "float32").digest


def test_a_hubs_name_is_found_in_the_cache(home: Path, tmp_path: Path) -> None:
    udfs.pyfunc.save_model(NAME, tmp_path / "artifact")
    shutil.rmtree(home)
    assert resolve(str(tmp_path / "artifact")).task == "text-classification"
    assert flavor(tmp_path / "artifact")["source_model_name"] == NAME
    assert (tmp_path / "artifact" / "model_card.md").read_text() == "What people feel.\n"
    assert (tmp_path / "artifact" / "LICENSE.txt").read_text() == "The declared license type is: 'mit'\n"


@pytest.mark.parametrize("shape", ["name", "pipeline"])
def test_a_reference_is_to_the_commit_that_was_loaded(shape: str, home: Path, tmp_path: Path) -> None:
    given: Any = NAME if shape == "name" else transformers.pipeline("text-classification", NAME)
    artifact = tmp_path / "artifact"
    udfs.pyfunc.save_model(given, artifact, save_pretrained=False)
    expected = digest(home / "snapshots" / COMMIT)
    tiny.save(home / "snapshots" / LATER, num_labels=3, seed=1)
    refer(home, LATER)
    found = flavor(artifact)
    assert (found["source_model_name"], found["source_model_revision"]) == (NAME, COMMIT)
    assert (found["tokenizer_name"], found["tokenizer_revision"]) == (NAME, COMMIT)
    assert not {"model", "components"} & {path.name for path in artifact.iterdir()}
    assert digest(artifact) == expected
    stock = mlflow.transformers.load_model(str(artifact)).model
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(home / "snapshots" / COMMIT)
    assert all(torch.equal(one, plain.state_dict()[name]) for name, one in stock.state_dict().items())


def test_a_revision_may_be_given(home: Path, tmp_path: Path) -> None:
    tiny.save(home / "snapshots" / LATER, num_labels=3, seed=1)
    refer(home, LATER)
    udfs.pyfunc.save_model(NAME, tmp_path / "artifact", save_pretrained=False, revision=COMMIT)
    assert flavor(tmp_path / "artifact")["source_model_revision"] == COMMIT


@pytest.mark.usefixtures("registry")
def test_mlflow_persists_what_was_referred_to(home: Path) -> None:
    with mlflow.start_run():
        info = udfs.pyfunc.log_model(NAME, name="model", save_pretrained=False)
    expected = make_bundle(resolve(info.model_uri), "float32").manifest.files["model.safetensors"]
    mlflow.transformers.persist_pretrained_model(info.model_uri)
    shutil.rmtree(home)
    ref = resolve(info.model_uri)
    assert make_bundle(ref, "float32").manifest.files["model.safetensors"] == expected
    assert mlflow.models.Model.load(info.model_uri).flavors["python_function"]["embercast"]["task"] == ref.task


def test_what_can_not_be_referred_to(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "folder")
    with pytest.raises(ModelError, match=r"expected a model of a hub, .*, this one is from .*/folder: leave save_pret"):
        udfs.pyfunc.save_model(str(folder), tmp_path / "artifact", save_pretrained=False)
    with pytest.raises(ModelNotFoundError, match="which does not have people/none@main, and HF_HUB_OFFLINE is set"):
        udfs.pyfunc.save_model("people/none", tmp_path / "other")
    with pytest.raises(ModelNotFoundError, match="does not have people/sentiment@v2"):
        udfs.pyfunc.save_model(NAME, tmp_path / "third", revision="v2")


def test_a_tokenizer_of_a_folder_is_not_taken_for_the_hubs(home: Path, tmp_path: Path) -> None:
    own = transformers.AutoTokenizer.from_pretrained(tiny.save(tmp_path / "folder"))
    with pytest.raises(ModelError, match=r"expected a \w+ of a hub, .*, this one is from the folder .*/folder: leave"):
        udfs.pyfunc.save_model(
            transformers.pipeline("text-classification", NAME, tokenizer=own), tmp_path / "a", save_pretrained=False
        )


def test_the_hub_is_asked_for_a_commit_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Info:
        sha = LATER

    def model_info(name: str, revision: str | None) -> Info:
        if name != "people/voice":
            raise OSError("no such model")
        return Info()

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.model_info", model_info)
    assert hub.commit_of("people/voice", "main") == LATER
    assert hub.commit_of(NAME) == COMMIT  # which the cache knows
    with pytest.raises(ModelNotFoundError, match="expected the commit of people/none@v1, and the hub answers: no such"):
        hub.commit_of("people/none", "v1")
