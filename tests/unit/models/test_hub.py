"""Weights that are only named: the Hugging Face cache, laid out by hand, and no network."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants

from engine.errors import ModelError, ModelNotFoundError
from engine.models import hub
from engine.models.bundle import make_bundle
from engine.models.registry import resolve
from tests import tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, without the network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def cached(home: Path, name: str = "people/sentiment") -> Path:
    """A tiny classifier in the cache, as from_pretrained would leave it there."""
    snapshot = home / f"models--{name.replace('/', '--')}" / "snapshots" / COMMIT
    tiny.save(snapshot, num_labels=3)
    return snapshot


def named(folder: Path, **flavor: str) -> Path:
    """What ``log_model(…, save_pretrained=False)`` writes: names and commits, no weights."""
    folder.mkdir()
    own = {"task": "text-classification", "source_model_name": "people/sentiment", "source_model_revision": COMMIT}
    tokenizer = {"tokenizer_name": "people/sentiment", "tokenizer_revision": COMMIT, "tokenizer_type": "Tokenizer"}
    flavors = {"transformers": {**own, **tokenizer, "components": ["tokenizer"], **flavor}}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}))
    return folder


def test_a_commit_in_the_cache_is_used_and_said(home: Path, tmp_path: Path) -> None:
    snapshot = cached(home)
    ref = resolve(str(named(tmp_path / "logged")))
    assert (ref.model_dir, ref.tokenizer_dir) == (snapshot, snapshot)
    assert ref.notes == (f"the weights lie outside of the registry, those of people/sentiment at commit {COMMIT}",)
    assert make_bundle(ref, "float32").digest == make_bundle(resolve(str(snapshot)), "float32").digest


def test_weights_that_are_not_there_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(str(named(tmp_path / "logged")))
    assert "to hold its weights; it only names people/sentiment (save_pretrained=False)" in str(caught.value)
    assert "Run mlflow.transformers.persist_pretrained_model on it first, or bring that commit" in str(caught.value)
    assert f"does not have people/sentiment@{COMMIT}, and HF_HUB_OFFLINE is set" in str(caught.value)


def test_another_commit_is_another_model(home: Path) -> None:
    cached(home)
    with pytest.raises(ModelNotFoundError, match="HF_HUB_OFFLINE is set"):
        hub.find("people/sentiment", COMMIT[::-1])
    with pytest.raises(ModelNotFoundError, match="no commit of people/sentiment was logged"):
        hub.find("people/sentiment", None)


def test_a_cache_without_the_weights_is_not_enough(home: Path) -> None:
    (cached(home) / "model.safetensors").unlink()
    with pytest.raises(ModelNotFoundError):
        hub.find("people/sentiment", COMMIT)
    assert hub.find("people/sentiment", COMMIT, part="tokenizer").name == COMMIT


def test_a_part_is_there_where_its_own_file_is(home: Path) -> None:
    """A model of recordings has no tokenizer."""
    snapshot = cached(home)
    (snapshot / "tokenizer_config.json").unlink()
    (snapshot / "tokenizer.json").unlink()
    (snapshot / "preprocessor_config.json").write_text("{}")
    assert hub.find("people/sentiment", COMMIT, part="feature_extractor") == snapshot
    with pytest.raises(ModelNotFoundError, match="HF_HUB_OFFLINE is set"):
        hub.find("people/sentiment", COMMIT, part="tokenizer")


def test_what_is_no_name_of_a_hub_is_refused() -> None:
    with pytest.raises(ModelNotFoundError, match=r"expected a hub's name or an absolute path, got \.\./people"):
        hub.find("../people", COMMIT)


def test_a_folder_is_a_folder_of_this_driver(tmp_path: Path) -> None:
    assert hub.find(str(tmp_path), None) == tmp_path
    with pytest.raises(ModelNotFoundError, match=r"this driver has no folder .*/gone"):
        hub.find(str(tmp_path / "gone"), None)


def test_the_network_is_asked_for_the_commit_where_that_is_allowed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def snapshot_download(name: str, *, revision: str, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        assert "*.safetensors" in allow_patterns
        assert not {"*.bin", "*.py", "*"} & set(allow_patterns)
        return str(cached(home))

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert hub.find("people/sentiment", COMMIT) == hub.find("people/sentiment", COMMIT)
    assert asked == [("people/sentiment", COMMIT)]  # the second time the cache has it


def test_what_the_hub_answers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(*_: object, **__: object) -> str:
        raise OSError("no route to the hub")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(ModelNotFoundError, match="and the hub answers: no route to the hub"):
        hub.find("people/sentiment", COMMIT)
