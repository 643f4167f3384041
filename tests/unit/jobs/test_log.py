from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import ModelNotFoundError, ParameterError, UnsafeModelError, UnsupportedTaskError
from engine.models.bundle import make_bundle
from engine.models.load import load
from engine.models.registry import resolve
from jobs.log import log_folder, params_of
from tests import audio_models, ctc_models, speech, tiny

# of MLflow's own mappings and types
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]


@pytest.mark.usefixtures("registry")
def test_a_folder_becomes_a_version_with_an_alias(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model")
    assert log_folder(folder, name="sentiment") == "models:/sentiment/1"
    assert log_folder(folder, name="sentiment") == "models:/sentiment/2"
    ref = resolve("models:/sentiment@champion")
    assert (ref.pinned, ref.version, ref.task) == ("models:/sentiment/2", "2", "text-classification")


@pytest.mark.usefixtures("registry")
def test_a_voice_becomes_a_version(tmp_path: Path) -> None:
    folder = speech.save(tmp_path / "model")
    assert log_folder(folder, name="voice") == "models:/voice/1"
    ref = resolve("models:/voice/1")
    assert ref.task == "text-to-audio"
    logged, own = (make_bundle(one, "float32").manifest.files for one in (ref, resolve(str(folder))))
    assert logged["model.safetensors"] == own["model.safetensors"]


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("save", "task"),
    [
        (audio_models.save_encoder, "audio-classification"),  # which has no tokenizer
        (ctc_models.save, "automatic-speech-recognition"),
        (audio_models.save_whisper, "automatic-speech-recognition"),
        (audio_models.save_clap, "zero-shot-audio-classification"),
    ],
)
def test_a_model_that_hears_becomes_a_version(tmp_path: Path, save: Callable[[Path], Path], task: str) -> None:
    folder = save(tmp_path / "model")
    assert log_folder(folder, name="ears") == "models:/ears/1"
    ref = resolve("models:/ears/1")
    logged, own = (make_bundle(one, "float32") for one in (ref, resolve(str(folder))))
    assert (ref.task, logged.manifest.files["model.safetensors"]) == (task, own.manifest.files["model.safetensors"])
    assert load(logged.path, "cpu").features.to_dict() == load(own.path, "cpu").features.to_dict()


@pytest.mark.usefixtures("registry")
def test_a_vocoder_stays_beside_its_model(tmp_path: Path) -> None:
    folder = speech.save_speecht5(tmp_path / "model")
    logged, own = (
        make_bundle(resolve(uri), "float32").manifest.files for uri in (log_folder(folder, name="voice"), str(folder))
    )
    assert logged["vocoder/model.safetensors"] == own["vocoder/model.safetensors"]


@pytest.mark.usefixtures("registry")
def test_what_a_sentence_encoder_ships_is_logged(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", head="")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    modules = [
        {"path": path, "type": f"sentence_transformers.models.{kind}"}
        for path, kind in (
            ("", "Transformer"),
            ("1_Pooling", "Pooling"),
            ("2_Normalize", "Normalize"),
        )
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32}))
    pinned = log_folder(folder, name="encoder", alias="next")
    ref = resolve("models:/encoder@next")
    assert (ref.pinned, ref.task) == (pinned, "embeddings") == ("models:/encoder/1", "embeddings")
    logged, own = (make_bundle(one, "float32").manifest for one in (ref, resolve(str(folder))))
    assert (logged.pooling, logged.normalize, logged.max_length) == ("cls", True, 32)
    assert logged.files["model.safetensors"] == own.files["model.safetensors"]
    assert resolve(log_folder(folder, name="encoder", task="list-embeddings")).task == "list-embeddings"


def test_what_can_not_be_logged(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="expected a folder with a model at"):
        log_folder(tmp_path / "none", name="a")
    folder = tiny.save(tmp_path / "model", head="")
    with pytest.raises(UnsupportedTaskError, match="does not say its task: give --task"):
        log_folder(folder, name="a")
    with pytest.raises(UnsupportedTaskError, match="expected an architecture"):
        log_folder(folder, name="a", task="text-classification")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UnsafeModelError, match="expected safetensors"):
        log_folder(folder, name="a", task="embeddings")


def test_parameters_of_a_command_line() -> None:
    given = ["top_k=3", "aggregation=simple", "stop=[a, b]", "normalize=null"]
    expected = {"top_k": 3, "aggregation": "simple", "stop": ["a", "b"], "normalize": None}
    assert params_of(given) == expected
    with pytest.raises(ParameterError, match="--param: expected NAME=VALUE, got top_k"):
        params_of(["top_k"])
