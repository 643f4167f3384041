"""Which models a policy allows, and when it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

import udfs.pyfunc
from engine.errors import ForbiddenModelError, ParameterError
from engine.models import policy
from engine.models.registry import resolve
from tests import poison, tiny

ANY: Final = {key: ["*"] for key in ("registries", "models", "hub", "folders", "licences")}


def written(file: Path, **lists: Any) -> policy.Policy:
    """A policy that allows everything but what ``lists`` say."""
    file.write_text(yaml.safe_dump({"version": 1, **ANY, **lists}), encoding="utf-8")
    return policy.read(file)


@pytest.mark.parametrize(
    ("lists", "name", "words"),
    [
        ({"models": ["team_*"]}, "team_sentiment", None),
        ({"models": ["team_*"]}, "sentiment", "it is called sentiment, and models are team_\\*"),
        ({"models": []}, "sentiment", "and models are none"),
        ({"models": ["runs:/*"]}, "runs:/0123/model", None),
        ({"models": ["sentiment"]}, "models:/m-0123", "it is called models:/m-0123"),
        ({"registries": ["https://mlflow.example.com*"]}, "sentiment", None),
        (
            {"registries": ["https://other.example.com"]},
            "sentiment",
            "it is in the registry https://mlflow.example.com/a,",
        ),
    ],
)
def test_registered_models(tmp_path: Path, lists: dict[str, Any], name: str, words: str | None) -> None:
    rules = written(tmp_path / "policy.yaml", **lists)
    store = "https://mlflow.example.com/a"
    if words is None:
        rules.check_source("m", name=name, store=store)
        return
    with pytest.raises(ForbiddenModelError, match=rf"expected a model that the policy .*policy\.yaml allows.*{words}"):
        rules.check_source("m", name=name, store=store)


def test_an_address_is_told_without_its_password(tmp_path: Path) -> None:
    rules = written(tmp_path / "policy.yaml", registries=[])
    with pytest.raises(ForbiddenModelError) as caught:
        rules.check_source("m", name="sentiment", store="postgresql://ann:secret@db.example.com/mlflow")
    assert "it is in the registry postgresql://db.example.com/mlflow" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_folders(tmp_path: Path) -> None:
    inside, outside = tmp_path / "models" / "one", tmp_path / "models2"
    inside.mkdir(parents=True)
    outside.mkdir()
    (tmp_path / "models" / "way").symlink_to(outside)
    rules = written(tmp_path / "policy.yaml", folders=[str(tmp_path / "models")])
    for allowed in (rules, written(tmp_path / "any.yaml"), written(tmp_path / "root.yaml", folders=["/"])):
        allowed.check_source("m", name=str(inside), store=None)
    for place in (outside, tmp_path / "models" / "way", inside / ".." / ".." / "models2"):
        with pytest.raises(ForbiddenModelError, match=r"it lies in .*/models2, and folders are "):
            rules.check_source("m", name=str(place), store=None)


def test_weights_that_a_model_only_names(tmp_path: Path) -> None:
    folder = poison.logged(tmp_path / "model")
    poison.edit(folder, "transformers", source_model_name="people/sentiment", tokenizer_name="people/words")
    rules = written(tmp_path / "policy.yaml", hub=["people/words"])
    rules.check_files("m", folder)  # the weights lie in it, whatever they were called
    poison.edit(folder, "transformers", model_binary=None)
    with pytest.raises(
        ForbiddenModelError, match="its weights are those of people/sentiment, and hub are people/words"
    ):
        rules.check_files("m", folder)
    written(tmp_path / "policy.yaml", hub=["people/*"]).check_files("m", folder)
    poison.edit(folder, "transformers", local_base_model_path="/mnt/models/base", peft_adaptor="peft")
    with pytest.raises(ForbiddenModelError, match="it lies in /mnt/models/base"):
        written(tmp_path / "policy.yaml", folders=["/mnt/others"]).check_files("m", folder)
    poison.edit(folder, "transformers", local_base_model_path="base")  # of the working folder, not of a hub
    with pytest.raises(ForbiddenModelError, match=f"it lies in {Path.cwd()}/base"):
        written(tmp_path / "policy.yaml", folders=["/mnt/others"]).check_files("m", folder)


@pytest.mark.parametrize(
    ("licences", "card", "found"),
    [
        (["mit"], "license: MIT", None),
        (["cc-by-*"], "license: cc-by-4.0", None),
        (["mit"], "license: [mit, gpl-3.0]", "gpl-3.0"),
        (["mit"], "language: en", "unstated"),
        (["MIT", "unstated"], "language: en", None),
        ([], "license: mit", "mit"),
    ],
)
def test_licences(tmp_path: Path, licences: list[str], card: str, found: str | None) -> None:
    folder = tiny.save(tmp_path / "model")
    (folder / "README.md").write_text(f"---\n{card}\n---\n")
    rules = written(tmp_path / "policy.yaml", licences=licences)
    if found is None:
        rules.check_files("m", folder)
        return
    with pytest.raises(ForbiddenModelError, match=f"its licence is {found}, and licences are "):
        rules.check_files("m", folder)


def test_doors_ask_it_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = poison.logged(tmp_path / "model", ours=True)
    resolve(str(folder))
    monkeypatch.setenv(policy.VARIABLE, str(tmp_path / "policy.yaml"))
    written(tmp_path / "policy.yaml")
    resolve(str(folder))
    written(tmp_path / "policy.yaml", licences=["mit"])
    (folder / "MLmodel").write_text("flavors: {transformers: {}}")  # can't be scored: it is not come to that
    for door in (resolve, udfs.pyfunc.load):
        with pytest.raises(ForbiddenModelError, match="its licence is unstated"):
            door(str(folder))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"expected a policy at .*policy\.yaml, which EMBERCAST_POLICY names, got: "),
        ("models: [", "expected a policy at "),
        (
            "[]",
            "expected version: 1 and the keys registries, models, hub, folders, licences in the policy .*, got list",
        ),
        ("version: 2", "expected version: 1 and the keys .* got version: write each"),
        (yaml.safe_dump({"version": 1, **ANY, "license": ["mit"]}), "got .*license, .*: write each"),
        (
            yaml.safe_dump({"version": 1, **ANY, "models": "*"}),
            r"expected a list of texts for models .* got '\*': write",
        ),
        (yaml.safe_dump({"version": 1, **ANY, "models": [1]}), r"expected a list of texts for models .* got \[1\]"),
    ],
)
def test_a_policy_that_can_not_be_read_allows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, words: str
) -> None:
    folder = tiny.save(tmp_path / "model")
    if text is not None:
        (tmp_path / "policy.yaml").write_text(text)
    monkeypatch.setenv(policy.VARIABLE, str(tmp_path / "policy.yaml"))
    with pytest.raises(ParameterError, match=words):
        resolve(str(folder))


def test_the_one_in_conf_is_one() -> None:
    rules = policy.read(Path(__file__).parents[3] / "conf" / "policy.yaml")
    rules.check_source("m", name="sentiment", store="sqlite:///mlflow.db")
    with pytest.raises(ForbiddenModelError):
        rules.check_source("m", name="/srv/models/sentiment", store=None)
