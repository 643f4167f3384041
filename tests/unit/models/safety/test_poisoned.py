"""A poisoned model of each kind: refused at this engine's doors with a sentence, and nothing of it ran."""

from __future__ import annotations

import pickle
import runpy
import sys
from pathlib import Path

import pytest
import yaml

import udfs.pyfunc
from engine.errors import ModelError
from engine.models.bundle import make_bundle
from engine.models.registry import resolve
from tests import poison, scoring


@pytest.mark.parametrize("ours", [False, True], ids=["stock", "ours"])
@pytest.mark.parametrize("kind", poison.KINDS)
def test_nothing_of_it_runs(tmp_path: Path, kind: str, ours: bool) -> None:
    folder, ran = poison.logged(tmp_path / "model", ours=ours), tmp_path / "ran"
    put, words = poison.KINDS[kind]
    put(folder, ran)
    before = [*sys.path]
    doors = (resolve, udfs.pyfunc.load) if ours else (resolve,)
    for door in doors:
        with pytest.raises(ModelError) as caught:
            door(str(folder))
        assert words in str(caught.value)
        assert ("allow_foreign_code=True" in str(caught.value)) is (kind in poison.ALLOWED)
    assert not ran.exists()
    assert sys.path == before
    _set_off(tmp_path)
    assert ran.exists()  # the payload is no dud


def _set_off(place: Path) -> None:
    """Runs everything below ``place`` that holds a payload, as an unwary reader would."""
    for path in place.rglob("*"):
        if path.suffix == ".bin":
            pickle.loads(path.read_bytes())
        elif path.name == "MLmodel":
            yaml.unsafe_load(path.read_text(encoding="utf-8"))
        elif path.suffix == ".py":
            runpy.run_path(str(path))


@pytest.mark.parametrize("kind", [kind for kind in poison.ALLOWED if kind != "a PyFunc"])
def test_what_is_allowed_is_scored_without_that_code(tmp_path: Path, kind: str) -> None:
    """The transformers model beside it is read; the code is for stock MLflow alone."""
    folder, ran = poison.logged(tmp_path / "model", ours=True), tmp_path / "ran"
    poison.KINDS[kind][0](folder, ran)
    ref = resolve(str(folder), allow_foreign_code=True)
    bundle = make_bundle(ref, "float32")
    assert not ran.exists()
    assert not [path for path in bundle.path.rglob("*") if path.suffix == ".py"]


def test_pickles_beside_safetensors_are_neither_read_nor_sent(tmp_path: Path) -> None:
    folder, ran = poison.logged(tmp_path / "model"), tmp_path / "ran"
    plain = scoring.rows(scoring.scorer(folder), text=["a good day"])
    for name in ("pytorch_model.bin", "training_args.bin", "vocab.pkl", "spiece.pickle", "rng.pth", "scaler.joblib"):
        poison.pickled(folder / "model" / name, ran)
    assert scoring.rows(scoring.scorer(folder), text=["a good day"]) == plain
    bundle = make_bundle(resolve(str(folder)), "float32")
    sent = {path.name for path in bundle.path.rglob("*") if path.is_file()}
    assert not [name for name in sent if name.endswith((".bin", ".pkl", ".pickle", ".pth", ".joblib"))]
    assert not ran.exists()


@pytest.mark.parametrize("ours", [False, True], ids=["stock", "ours"])
def test_a_model_with_nothing_wrong_passes(tmp_path: Path, ours: bool) -> None:
    folder = poison.logged(tmp_path / "model", ours=ours)
    ref = resolve(str(folder))
    assert (ref.task, ref.notes) == ("text-classification", ())


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")  # of MLflow's own types
def test_stock_mlflow_runs_an_artifacts_code_before_any_look_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the docs say plainly: through MLflow's own door nothing here can come first."""
    import mlflow

    folder, ran = poison.logged(tmp_path / "model"), tmp_path / "ran"
    poison.own_loader(folder, ran)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "poisoned_loader", None)
    del sys.modules["poisoned_loader"]
    with pytest.raises(AttributeError, match="_load_pyfunc"):
        mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    assert ran.exists()
