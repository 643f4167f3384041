"""The loader in an artifact: a Python without embercast takes the one that it brings, and says what it can't."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest
import transformers
import yaml

import udfs.pyfunc
from engine.errors import ModelError
from tests import tiny
from udfs.pyfunc import embercast_loader
from udfs.pyfunc.definition import FORMAT, KEY

TEXTS: Final = ["a good day", "so many people said no"]
#: Runs without site: no folder of this project is on the path, nor what a .pth names.
SCRIPT: Final = """
import json, sys
packages, *artifacts = sys.argv[1:]
sys.path.append(packages)
import mlflow, pandas
found = []
for artifact in artifacts:
    try:
        model = mlflow.pyfunc.load_model(artifact, suppress_warnings=True)
        found.append(model.predict(pandas.DataFrame({"text": %r}))["score"].tolist())
    except Exception as error:
        found.append(f"{type(error).__name__}: {error}")
import engine
print(json.dumps({"engine": engine.__file__, "found": found}))
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text classifier as ``save_model`` leaves it, the engine in it."""
    folder = tiny.save(tmp_path_factory.mktemp("model"))
    parts = {
        "model": transformers.AutoModelForSequenceClassification.from_pretrained(folder),
        "tokenizer": transformers.AutoTokenizer.from_pretrained(folder),
    }
    made = tmp_path_factory.mktemp("artifact") / "saved"
    definition = {"dtype": "float32", "device": "cpu"}
    udfs.pyfunc.save_model(parts, str(made), task="text-classification", definition=definition)
    return made


def of_release(artifact: Path, into: Path, **told: Any) -> str:
    """The same artifact as another release would have logged it."""
    copy = shutil.copytree(artifact, into)
    described = yaml.safe_load((copy / "MLmodel").read_text(encoding="utf-8"))
    described["flavors"]["python_function"][KEY] |= told
    (copy / "MLmodel").write_text(yaml.safe_dump(described), encoding="utf-8")
    return str(copy)


def test_a_python_without_embercast_scores_models_of_several_releases(logged: Path, tmp_path: Path) -> None:
    artifacts = [
        str(logged),
        of_release(logged, tmp_path / "older", release="0.0.1"),
        of_release(logged, tmp_path / "newer", release="9.9.9"),
        of_release(logged, tmp_path / "later", release="9.9.9", format=FORMAT + 1),
    ]
    done = subprocess.run(
        [sys.executable, "-S", "-c", SCRIPT % TEXTS, sysconfig.get_paths()["purelib"], *artifacts],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["engine"] == str(logged / "embercast.zip" / "engine" / "__init__.py")
    *scores, refused = said["found"]
    expected = udfs.pyfunc.load(str(logged)).predict(TEXTS)["score"].tolist()
    assert scores == [pytest.approx(expected, rel=1e-5)] * 3
    assert refused.startswith(f"ModelError: expected a model of format {FORMAT} or before")


def test_models_of_several_releases_score_in_one_session(logged: Path, tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": TEXTS})
    older, newer = (of_release(logged, tmp_path / one, release=one) for one in ("0.0.1", "9.9.9"))
    first, second = (embercast_loader._load_pyfunc(one) for one in (older, newer))
    assert first.predict(frame)["score"].tolist() == second.predict(frame)["score"].tolist()
    with pytest.raises(ModelError, match="install that release or a later"):
        embercast_loader._load_pyfunc(of_release(logged, tmp_path / "later", format=FORMAT + 1))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["engine/__init__.py"], "expected embercast with udfs.pyfunc, or no package engine; this Python has one at "),
        (["udfs.py"], "expected embercast with udfs.pyfunc, or no package udfs; this Python has one at "),
        ([], "expected embercast installed, or embercast.zip in the model's folder, found neither"),
    ],
)
def test_a_python_with_other_packages_of_these_names_is_told(files: list[str], said: str, tmp_path: Path) -> None:
    shutil.copy(embercast_loader.__file__, tmp_path)
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import embercast_loader; embercast_loader._load_pyfunc('model')"],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"ImportError: {said}" in done.stderr
