"""What a folder says of itself, and what is refused before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EmbercastError, ModelError, ModelNotFoundError, UnsafeModelError, UnsupportedTaskError
from engine.models.folder import check, check_task, infer_task

CLASSIFIER: dict[str, Any] = {"architectures": ["BertForSequenceClassification"]}


def folder(path: Path, *files: str, config: dict[str, Any] | None = CLASSIFIER) -> Path:
    """A folder with a configuration and empty files of these names."""
    path.mkdir(exist_ok=True)
    if config is not None:
        (path / "config.json").write_text(json.dumps(config))
    for name in files:
        (path / name).touch()
    return path


def test_safetensors_are_taken_whole_or_in_shards_whatever_lies_beside(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", "model.safetensors", "pytorch_model.bin", "model.onnx")
    shards = folder(tmp_path / "shards", "model-00001-of-00002.safetensors")
    (shards / "model.safetensors.index.json").write_text("{}")
    check(one, one)
    check(shards, one)


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ([], ModelError, "expected weights (*.safetensors)"),
        (["pytorch_model.bin"], UnsafeModelError, "found only pytorch_model.bin, which is unpickled to be read"),
        (["model.pt"], UnsafeModelError, "found only model.pt"),
        (["weights.pkl"], UnsafeModelError, "save the model again with save_pretrained"),
        (["tf_model.h5"], ModelError, "expected PyTorch weights as safetensors"),
        (["flax_model.msgpack"], ModelError, "found only flax_model.msgpack: load it in the framework it is of, conv"),
        (["model.onnx"], ModelError, "found only model.onnx"),
        (["model.gguf"], ModelError, "found only model.gguf"),
    ],
)
def test_weights_that_are_missing_or_unsafe(
    tmp_path: Path, files: list[str], error: type[EmbercastError], words: str
) -> None:
    made = folder(tmp_path / "model", *files)
    with pytest.raises(error) as caught:
        check(made, made)
    assert type(caught.value) is error
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "model.safetensors.index.json"])
def test_a_file_that_is_no_json_is_named(tmp_path: Path, name: str) -> None:
    made = folder(tmp_path / "model", "model.safetensors")
    (made / name).write_text("{")
    with pytest.raises(ModelError, match=rf"expected JSON in .*/{name}, got JSONDecodeError"):
        check(made)


def test_an_adapter_beside_the_weights_is_refused(tmp_path: Path) -> None:
    made = folder(tmp_path / "model", "model.safetensors", "adapter_config.json")
    with pytest.raises(
        ModelError, match=r"it has an adapter_config\.json, which transformers would follow: log the PEFT"
    ):
        check(made)


def test_a_folder_without_a_configuration(tmp_path: Path) -> None:
    made = folder(tmp_path / "model", "model.safetensors", config=None)
    with pytest.raises(ModelNotFoundError, match=r"expected a transformers model with a config\.json"):
        check(made, made)


@pytest.mark.parametrize(
    "where", ["model/config.json", "model/tokenizer_config.json", "tokenizer/tokenizer_config.json"]
)
def test_code_of_a_model_is_never_run(tmp_path: Path, where: str) -> None:
    model, tokenizer = folder(tmp_path / "model", "model.safetensors"), folder(tmp_path / "tokenizer", config=None)
    (tmp_path / where).write_text(json.dumps({**CLASSIFIER, "auto_map": {"AutoModel": "modeling.Own"}}))
    with pytest.raises(UnsafeModelError, match=r"has an auto_map: .*trust_remote_code"):
        check(model, tokenizer)


@pytest.mark.parametrize(
    ("config", "task"),
    [
        (CLASSIFIER, "text-classification"),
        ({"architectures": ["RobertaForSequenceClassification"]}, "text-classification"),
        ({"architectures": ["TapasForQuestionAnswering"]}, "table-question-answering"),
        ({"architectures": ["RobertaForQuestionAnswering"]}, "question-answering"),
        ({"architectures": ["MarianMTModel"]}, "translation"),
        ({"architectures": ["Wav2Vec2ForSequenceClassification"]}, "audio-classification"),
        ({"architectures": ["Wav2Vec2BertForSequenceClassification"]}, "audio-classification"),
        ({"architectures": ["ASTForAudioClassification"]}, "audio-classification"),
        ({"architectures": ["ClapModel"]}, "zero-shot-audio-classification"),
        ({"architectures": ["BertModel"]}, None),
        ({"architectures": None}, None),
        ({}, None),
    ],
)
def test_a_task_is_told_by_the_architecture(tmp_path: Path, config: dict[str, Any], task: str | None) -> None:
    assert infer_task(folder(tmp_path / "model", config=config)) == task


def test_a_folder_that_ships_a_pooling_embeds(tmp_path: Path) -> None:
    folder(folder(tmp_path / "model") / "1_Pooling")
    assert infer_task(tmp_path / "model") == "embeddings"


def test_a_task_that_the_architecture_lacks(tmp_path: Path) -> None:
    made = folder(tmp_path / "model", config={"architectures": ["BertForMaskedLM"]})
    with pytest.raises(
        UnsupportedTaskError, match="ForSequenceClassification for text-classification, the model is BertF"
    ):
        check_task(made, "text-classification")
    check_task(made, "embeddings")  # any encoder embeds
    check_task(folder(tmp_path / "unknown", config={}), "text-classification")  # its weights decide
