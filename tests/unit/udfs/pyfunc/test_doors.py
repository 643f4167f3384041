"""One model through MLflow's ``load_model`` and our ``load``: parameters, requests, names, devices, threads."""

from __future__ import annotations

import base64
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import transformers

import udfs.pyfunc
from engine.errors import DeviceError, ParameterError, SchemaError
from tests import artifacts, audio_models, chats, ctc_models, speech, tiny
from udfs.pyfunc.environment import DEVICE

TEXTS = ["a good day", "so many people said no", "they were not there"]
PAIRS = ["no", "by water", "now"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("doors")


@pytest.fixture(scope="module")
def folder(home: Path) -> Path:
    return tiny.save(home / "classifier", num_labels=4)


@pytest.fixture(scope="module")
def artifact(home: Path, folder: Path) -> str:
    """Logged with two labels a text."""
    return str(artifacts.write(folder, home / "logged", "text-classification", config={"top_k": 2}))


@pytest.fixture(scope="module")
def chat(home: Path) -> Path:
    return chats.save(home / "chat")


@pytest.fixture(scope="module")
def talks(home: Path, chat: Path) -> str:
    return str(artifacts.write(chat, home / "talks", "llm/v1/chat", config={"max_tokens": 6}))


def stock(artifact: str, **arguments: Any) -> Any:
    return mlflow.pyfunc.load_model(artifact, suppress_warnings=True, **arguments)


def counts(found: pd.DataFrame) -> list[int]:
    return [len(scores) for scores in found["scores"]]


def test_pairs_are_classified_as_the_pipeline_does(artifact: str, folder: Path) -> None:
    found = stock(artifact).predict(pd.DataFrame({"text": TEXTS, "text_pair": PAIRS}))
    pipeline = transformers.pipeline("text-classification", str(folder), top_k=2, dtype="float32")
    for row, text, pair in zip(found.to_dict("records"), TEXTS, PAIRS, strict=True):
        expected = pipeline({"text": text, "text_pair": pair})
        assert [one["label"] for one in row["scores"]] == [one["label"] for one in expected]
        assert [one["score"] for one in row["scores"]] == pytest.approx([one["score"] for one in expected], rel=1e-5)


def test_parameters_by_mlflows_precedence(artifact: str) -> None:
    frame = pd.DataFrame({"text": TEXTS})
    model = stock(artifact)
    assert counts(model.predict(frame)) == [2, 2, 2]
    assert counts(model.predict(frame, params={"top_k": 3})) == [3, 3, 3]
    loaded = stock(artifact, model_config={"top_k": 1})
    assert counts(loaded.predict(frame)) == [1, 1, 1]
    assert counts(loaded.predict(frame, params={"top_k": 2})) == [2, 2, 2]
    ours = udfs.pyfunc.load(artifact, params={"top_k": 3})
    assert counts(ours.predict(frame)) == [3, 3, 3]
    assert counts(ours.predict(frame, params={"top_k": 1})) == [1, 1, 1]


def test_a_row_sets_its_own_parameters_and_pays_for_them(artifact: str) -> None:
    frame = pd.DataFrame({"text": TEXTS, "top_k": [1.0, None, -3.0]})
    found = stock(artifact).predict(frame, params={"top_k": 4})
    assert counts(found) == [1, 4, 0]
    assert [one["code"] for one in found["error"]] == [None, None, "invalid_parameter"]
    table = pa.table({"text": TEXTS, "top_k": [1, None, -3]})
    assert [len(row["scores"] or ()) for row in udfs.pyfunc.load(artifact).predict(table).to_pylist()] == [1, 2, 0]


def test_no_rows_give_no_rows_with_their_columns(artifact: str) -> None:
    model = udfs.pyfunc.load(artifact)
    assert model.predict(pa.table({"text": pa.array([], pa.string())})).type == model.schema.output
    assert list(model.predict(pd.DataFrame({"text": []})).columns) == [one.name for one in model.schema.output]


def test_the_index_of_a_frame_stays(artifact: str) -> None:
    frame = pd.DataFrame({"text": TEXTS}, index=[7, 3, 3])
    assert stock(artifact).predict(frame).index.tolist() == [7, 3, 3]


def test_threads_of_a_server_do_not_meet_in_the_tokenizer(artifact: str) -> None:
    model = stock(artifact)
    frames = [pd.DataFrame({"text": [f"{text} {i}" for text in TEXTS * 20]}) for i in range(4)]
    alone = [model.predict(frame)["score"].tolist() for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = [found["score"].tolist() for found in pool.map(model.predict, frames)]
    assert together == alone


def test_a_registered_model_is_called_by_its_version(talks: str, home: Path) -> None:
    """MLflow writes this file beside the model that it fetched (``ModelsArtifactRepository``)."""
    fetched = shutil.copytree(talks, home / "fetched")
    (fetched / "registered_model_meta").write_text("model_name: talker\nmodel_version: '3'\n", encoding="utf-8")
    frame = pd.DataFrame({"messages": ["how long"]})
    assert stock(str(fetched)).predict(frame)["model"].tolist() == ["models:/talker/3"]
    assert stock(talks).predict(frame)["model"].tolist() == ["talks"]


def test_chats_in_every_form_are_answered_as_transformers_does(talks: str, chat: Path) -> None:
    model = stock(talks)
    turns = [{"role": "system", "content": "be as they are"}, {"role": "user", "content": "what can people do"}]
    plain = chats.Plain(chat)
    expected = plain.tokenizer.decode(plain(turns, max_new_tokens=6)[1], skip_special_tokens=True)
    asked = {"max_tokens": 3}
    short = plain.tokenizer.decode(plain(turns, max_new_tokens=3)[1], skip_special_tokens=True)

    def texts(found: pd.DataFrame) -> list[str]:
        return [choices[0]["message"]["content"] for choices in found["choices"]]

    assert texts(model.predict({"messages": turns})) == [expected]  # one request, as a server takes it
    assert texts(model.predict({"messages": turns}, params=asked)) == [short]
    rows = pd.DataFrame({"messages": [turns, np.array(turns), {"messages": turns, **asked}]})
    assert texts(model.predict(rows)) == [expected, expected, short]
    by_row = pd.DataFrame({"messages": [turns, turns], "params": [asked, None]})
    assert texts(model.predict(by_row)) == [short, expected]
    assert texts(udfs.pyfunc.load(talks).predict(turns)) == [expected]
    arrow = udfs.pyfunc.load(talks).predict(pa.table({"messages": [turns, None], "params": [asked, asked]}))
    assert [row and row["choices"][0]["message"]["content"] for row in arrow.to_pylist()] == [short, None]


def test_recordings_in_every_form_sound_alike(home: Path) -> None:
    folder = ctc_models.save(home / "letters")
    samples = audio_models.tone(0.4, seed=1)
    sound = audio_models.wav(samples)
    (home / "sounds").mkdir()
    (home / "sounds" / "one.wav").write_bytes(sound)
    root = {"roots": [str(home / "sounds")]}
    artifact = str(artifacts.write(folder, home / "hearing", "automatic-speech-recognition", config=root))
    model = stock(artifact)
    expected = model.predict(pd.DataFrame({"audio": [sound]}))["text"].tolist()
    assert expected[0]
    as_text = pd.DataFrame({"audio": [base64.b64encode(sound).decode()]})
    assert model.predict(as_text, params={"strings": "base64"})["text"].tolist() == expected
    heard = pd.DataFrame({"audio": [samples], "sampling_rate": [audio_models.RATE]})
    assert model.predict(heard)["text"].tolist() == expected
    assert udfs.pyfunc.load(artifact).predict(sound)["text"].tolist() == expected
    paths = pd.DataFrame({"audio": [str(home / "sounds" / "one.wav"), str(folder / "config.json")]})
    found = model.predict(paths)
    assert found["text"].iloc[0] == expected[0]
    assert [one["code"] for one in found["error"]] == [None, "outside_roots"]
    with pytest.raises(ParameterError, match="expected roots from who logged or loaded the model"):
        udfs.pyfunc.load(artifact).predict(paths, params={"roots": ["/"]})


def test_bytes_go_through_our_door_alone(home: Path) -> None:
    artifact = str(artifacts.write(speech.save(home / "voice"), home / "spoken", "text-to-audio"))
    with pytest.raises(SchemaError, match="text-to-audio gives bytes, which stock spark_udf refuses as a result"):
        stock(artifact)
    model = udfs.pyfunc.load(artifact)
    (spoken,) = model.predict(pa.table({"text": ["so"]})).to_pylist()
    assert spoken["audio"][:4] == b"RIFF"
    assert model.predict("so")["audio"].tolist() == [spoken["audio"]]


def test_what_an_artifact_says_of_device_and_dtype_stands_over_the_environment(
    home: Path, folder: Path, artifact: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    anywhere = str(artifacts.write(folder, home / "anywhere", "text-classification", device="auto"))
    monkeypatch.setenv(DEVICE, "-1")
    assert udfs.pyfunc.load(anywhere).compute.device == "cpu"
    monkeypatch.setenv(DEVICE, "6")
    with pytest.raises(DeviceError):
        stock(anywhere)
    assert udfs.pyfunc.load(artifact).compute.device == "cpu"
    assert udfs.pyfunc.load(artifact).compute.dtype == "float32"
    assert udfs.pyfunc.load(artifact, dtype="bfloat16").compute.dtype == "bfloat16"
