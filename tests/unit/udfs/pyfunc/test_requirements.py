"""What an artifact asks of Python, its example and its card: no more than what runs, as MLflow reads them."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from huggingface_hub import ModelCard

from engine.errors import SchemaError
from udfs.pyfunc import card, requirements
from udfs.pyfunc.example import example_of


def packages(task: str, folder: Path, *, adapter: bool = False) -> set[str]:
    return {one.partition("==")[0] for one in requirements.needed(task, [folder], adapter=adapter)}


def test_requirements_are_those_of_the_task(tmp_path: Path) -> None:
    always = {"transformers", "torch", "accelerate", "safetensors", "pyarrow", "pandas", "psutil"}
    assert packages("text-classification", tmp_path) == always
    assert packages("automatic-speech-recognition", tmp_path) == {*always, "soundfile", "soxr", "av"}
    assert packages("text-to-audio", tmp_path) == {*always, "soundfile", "soxr", "av"}
    assert packages("llm/v1/chat", tmp_path) == {*always, "llguidance", "jsonschema"}
    assert packages("text-classification", tmp_path, adapter=True) == {*always, "peft"}
    (tmp_path / "components").mkdir()
    (tmp_path / "components" / "source.spm").touch()
    (tmp_path / "config.json").write_text('{"quantization_config": {"load_in_4bit": true}}')
    assert packages("translation", tmp_path) == {*always, "sentencepiece", "bitsandbytes"}
    assert f"pyarrow=={version('pyarrow')}" in requirements.needed("fill-mask", [tmp_path], adapter=False)


def test_files_are_those_that_mlflow_reads(tmp_path: Path) -> None:
    requirements.write(tmp_path, ["torch", "pandas"], extra_pip_requirements=["polars==1.0"])
    lines = (tmp_path / "requirements.txt").read_text().splitlines()
    assert lines[0].startswith("mlflow==")
    assert lines[1:] == ["torch", "pandas", "polars==1.0"]
    assert yaml.safe_load((tmp_path / "conda.yaml").read_text())["dependencies"][-1] == {"pip": lines}
    assert yaml.safe_load((tmp_path / "python_env.yaml").read_text())["dependencies"] == ["-r requirements.txt"]


def test_constraints_and_environments_that_are_given(tmp_path: Path) -> None:
    (tmp_path / "limits.txt").write_text("torch<3\n")
    requirements.write(tmp_path, ["torch"], pip_requirements=["mlflow", "torch", f"-c {tmp_path}/limits.txt"])
    assert (tmp_path / "requirements.txt").read_text().splitlines() == ["mlflow", "torch", "-c constraints.txt"]
    assert (tmp_path / "constraints.txt").read_text() == "torch<3"
    given = {"name": "mine", "dependencies": ["python=3.11", {"pip": ["mlflow", "torch"]}]}
    requirements.write(tmp_path, ["torch"], conda_env=given)
    assert yaml.safe_load((tmp_path / "conda.yaml").read_text())["name"] == "mine"
    with pytest.raises(ValueError, match="Only one of `conda_env`, `pip_requirements`"):
        requirements.write(tmp_path, ["torch"], conda_env=given, pip_requirements=["torch"])


@pytest.mark.parametrize(
    ("task", "given", "expected"),
    [
        ("text-classification", "a", {"text": ["a"]}),
        ("text-classification", ["a", "b"], {"text": ["a", "b"]}),
        ("text-classification", {"text": "a", "text_pair": "b"}, {"text": ["a"], "text_pair": ["b"]}),
        ("text-classification", {"text": ["a", "b"], "top_k": [1, 2]}, {"text": ["a", "b"], "top_k": [1, 2]}),
        ("text-classification", pd.DataFrame(["a"]), {"text": ["a"]}),
        ("question-answering", {"question": "q", "context": "c"}, {"question": ["q"], "context": ["c"]}),
        ("list-embeddings", ["a", "b"], {"texts": [["a", "b"]]}),
        ("list-embeddings", [["a"], ["b"]], {"texts": [["a"], ["b"]]}),
        ("llm/v1/embeddings", "a", {"input": ["a"]}),
        ("llm/v1/chat", [{"role": "user", "content": "a"}], {"messages": [[{"role": "user", "content": "a"}]]}),
        (
            "llm/v1/chat",
            {"messages": [{"role": "user", "content": "a"}], "temperature": 0.0, "stop": ["x"]},
            {"messages": [[{"role": "user", "content": "a"}]], "temperature": [0.0], "stop": [["x"]]},
        ),
        ("audio-classification", b"RIFF", {"audio": [b"RIFF"]}),
        ("audio-classification", [b"RIFF", b"R"], {"audio": [b"RIFF", b"R"]}),
    ],
)
def test_an_example_in_any_form(task: str, given: object, expected: dict[str, list[object]]) -> None:
    assert example_of(task, given).to_dict("list") == expected
    frame, params = example_of(task, (given, {"a": 1}))
    assert frame.to_dict("list") == expected
    assert params == {"a": 1}


def test_samples_are_one_recording() -> None:
    samples = np.zeros(3, np.float32)
    assert example_of("audio-classification", samples)["audio"].tolist()[0] is samples
    with pytest.raises(SchemaError, match=r"expected columns of text, .* in the input example, got body"):
        example_of("fill-mask", {"body": "a"})


def test_a_card_and_a_licence(tmp_path: Path) -> None:
    home, root = tmp_path / "home", tmp_path / "root"
    home.mkdir()
    root.mkdir()
    card.write(root, None, home)
    assert list(root.iterdir()) == []
    (home / "README.md").write_text("---\nlicense: apache-2.0\ntags: [a]\n---\nOf the folder.\n")
    card.write(root, None, home)
    assert yaml.safe_load((root / "model_card_data.yaml").read_text()) == {"license": "apache-2.0", "tags": ["a"]}
    assert (root / "LICENSE.txt").read_text() == "The declared license type is: 'apache-2.0'\n"
    (home / "LICENSE.md").write_text("All of it.")
    for given in ("---\nlicense: mit\n---\nGiven.\n", ModelCard("---\nlicense: mit\n---\nGiven.\n")):
        card.write(root, given, home)
        assert (root / "model_card.md").read_text() == "Given.\n"
        assert yaml.safe_load((root / "model_card_data.yaml").read_text()) == {"license": "mit"}
    assert (root / "LICENSE.md").read_text() == "All of it."
