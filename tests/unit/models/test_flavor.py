"""What an MLmodel file says, in the shapes that MLflow 2 and 3 write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from engine.errors import ModelError, UnsupportedTaskError
from engine.models import flavor
from engine.models.bundle import make_bundle
from engine.models.registry import resolve
from tests import scoring, tiny

TEXTS = ["the water was hot", "how many people said that"]


def logged(folder: Path, *, python: dict[str, Any] | None = None, **described: Any) -> Path:
    """A tiny classifier in MLflow's layout: ``transformers`` updates the flavor, None takes an entry out."""
    if not (folder / "model").exists():
        tiny.save(folder / "model", num_labels=3)
    own = {"task": "text-classification", "model_binary": "model", "components": ["tokenizer"], "code": None}
    mine = {name: value for name, value in {**own, **described.pop("transformers", {})}.items() if value is not None}
    flavors = {"transformers": mine, "python_function": {"loader_module": "mlflow.transformers", **(python or {})}}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors, **described}))
    return folder


@pytest.mark.parametrize(
    ("entries", "task"),
    [
        ({"transformers": {"task": "text-generation"}}, "text-generation"),
        ({"transformers": {"task": "text-generation", "inference_task": "llm/v1/completions"}}, "llm/v1/completions"),
        ({"transformers": {"task": "text-generation"}, "metadata": {"task": "llm/v1/chat"}}, "llm/v1/chat"),
        ({"transformers": {"task": "summarization"}, "metadata": {"task": "news"}}, "summarization"),
        ({"transformers": {"task": None}}, None),
    ],
)
def test_the_task_is_the_llm_one_before_the_pipelines(tmp_path: Path, entries: dict[str, Any], task: str) -> None:
    assert flavor.read("m", logged(tmp_path, **entries)).task == task


@pytest.mark.parametrize("task", ["vqa", "image-to-text"])
def test_a_task_that_is_not_scored_is_refused_when_it_is_resolved(tmp_path: Path, task: str) -> None:
    with pytest.raises(UnsupportedTaskError, match=f"got {task}: "):
        resolve(str(logged(tmp_path, transformers={"task": task})))


def test_mlflow_3_writes_the_tasks_of_llms_where_they_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    from transformers import pipeline

    monkeypatch.chdir(tmp_path)
    tiny.save(tmp_path / "lm", "gpt2", head="CausalLM")
    made = pipeline("text-generation", model=str(tmp_path / "lm"))
    mlflow.transformers.save_model(
        made, path=str(tmp_path / "saved"), task="llm/v1/completions", pip_requirements=["torch"], model_card=_card()
    )
    read = flavor.read("m", tmp_path / "saved")
    assert read.task == "llm/v1/completions"
    assert read.tokenizer_dir == tmp_path / "saved" / "components" / "tokenizer"
    assert (read.dtype, read.params) == ("float32", {})


def _card() -> Any:
    from huggingface_hub import ModelCard

    return ModelCard("---\nlicense: mit\n---\n")


def test_signature_parameters_come_over_model_config_and_the_template_beside_them(tmp_path: Path) -> None:
    signature = json.dumps([{"name": "top_k", "type": "integer", "default": 2, "shape": None}])
    folder = logged(
        tmp_path,
        python={"config": {"top_k": 1, "max_length": 16}},
        signature={"inputs": "[]", "outputs": None, "params": signature},
        metadata={"prompt_template": "rate: {prompt}"},
    )
    assert resolve(str(folder)).params == {"prompt_template": "rate: {prompt}", "top_k": 2, "max_length": 16}


def test_a_default_that_says_nothing_hides_no_model_config_of_ours(tmp_path: Path) -> None:
    params = [
        {"name": "top_k", "type": "long", "default": None, "shape": None},
        {"name": "max_length", "type": "long", "default": 9, "shape": None},
        {"name": "ignore_labels", "type": "string", "default": [], "shape": [-1]},
    ]
    python = {"config": {"top_k": 2}, "embercast": {"task": "text-classification"}}
    described = {"signature": {"params": json.dumps(params)}}
    ours = flavor.read("m", logged(tmp_path / "ours", python=python, **described))
    assert ours.params == {"top_k": 2, "max_length": 9}
    stock = flavor.read("m", logged(tmp_path / "stock", python={"config": {"top_k": 2}}, **described))
    assert stock.params == {"top_k": None, "max_length": 9, "ignore_labels": []}


def test_model_config_of_mlflow_2_3_lies_in_a_file(tmp_path: Path) -> None:
    folder = logged(tmp_path, signature={"inputs": "[]", "params": None})
    (folder / "components").mkdir()
    (folder / "components" / "inference_config.txt").write_text('{"top_k": 2}')
    assert resolve(str(folder)).params == {"top_k": 2}


def test_a_translations_languages_are_its_first_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.models.folder.check_task", lambda *_: None)
    folder = logged(tmp_path, transformers={"task": "translation_en_to_de"})
    ref = resolve(str(folder))
    assert (ref.task, ref.params) == ("translation", {"source_language": "en", "target_language": "de"})
    logged(tmp_path, transformers={"task": "translation_en_to_de"}, python={"config": {"tgt_lang": "fr"}})
    assert resolve(str(folder)).params == {"source_language": "en", "target_language": "fr"}
    assert resolve(str(folder), task="text2text-generation").params == {"tgt_lang": "fr"}


def test_parameters_have_the_tasks_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.models.folder.check_task", lambda *_: None)
    folder = logged(tmp_path, transformers={"task": "ner"}, python={"config": {"aggregation_strategy": "simple"}})
    ref = resolve(str(folder))
    assert (ref.task, ref.params) == ("token-classification", {"aggregation": "simple"})


def test_a_pooling_that_was_logged_means_embeddings(tmp_path: Path) -> None:
    folder = logged(tmp_path, transformers={"task": "feature-extraction"}, python={"config": {"pooling": "cls"}})
    ref = resolve(str(folder))
    assert (ref.task, ref.params) == ("embeddings", {"pooling": "cls"})


def test_the_dtype_of_the_flavor_comes_before_the_configurations(tmp_path: Path) -> None:
    assert resolve(str(logged(tmp_path))).dtype == "float32"
    assert resolve(str(logged(tmp_path, transformers={"torch_dtype": "torch.bfloat16"}))).dtype == "bfloat16"


def test_a_tokenizer_among_the_components_is_taken_and_other_components_are_not(tmp_path: Path) -> None:
    folder = logged(tmp_path, transformers={"components": ["feature_extractor", "tokenizer", "image_processor"]})
    own = folder / "components" / "tokenizer"
    tiny.tokenizer(max_length=7).save_pretrained(own)
    for other in ("feature_extractor", "image_processor"):
        (folder / "components" / other).mkdir()
        (folder / "components" / other / "preprocessor_config.json").write_text('{"auto_map": {}}')
    ref = resolve(str(folder))
    assert ref.tokenizer_dir == own
    config = json.loads((make_bundle(ref, "float32").path / "tokenizer" / "tokenizer_config.json").read_text())
    assert config["model_max_length"] == 7


@pytest.mark.parametrize("framework", ["tf", "flax"])
def test_other_frameworks_are_refused_with_the_way_out(tmp_path: Path, framework: str) -> None:
    with pytest.raises(ModelError, match=r"expected PyTorch weights, .* load it with transformers 4 .*from_tf=True"):
        resolve(str(logged(tmp_path, transformers={"framework": framework})))


def test_a_sentence_transformers_flavor_embeds(tmp_path: Path) -> None:
    """As mlflow.sentence_transformers writes it: the folder that SentenceTransformer.save wrote, under one name."""
    data = tmp_path / "model.sentence_transformer"
    tiny.save(data, head="")
    (data / "modules.json").write_text(
        json.dumps(
            [
                {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            ]
        )
    )
    (data / "1_Pooling").mkdir()
    (data / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    python = {"loader_module": "mlflow.sentence_transformers", "data": "model.sentence_transformer"}
    flavors = {"sentence_transformers": {"pipeline_model_type": "BertModel"}, "python_function": python}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}))
    ref = resolve(str(tmp_path))
    assert (ref.task, ref.model_dir) == ("embeddings", data)
    [row] = scoring.rows(scoring.scorer(tmp_path), text=TEXTS[:1])
    from transformers import AutoModel, AutoTokenizer

    with torch.no_grad():
        inputs = AutoTokenizer.from_pretrained(data)(TEXTS[0], return_tensors="pt")
        plain = AutoModel.from_pretrained(data)(**inputs).last_hidden_state[0, 0]
    assert row is not None
    assert row["embedding"] == pytest.approx(plain.tolist(), abs=1e-5)
    (tmp_path / "MLmodel").write_text(
        yaml.safe_dump({"flavors": flavors, "metadata": {"task": "llm/v1/embeddings"}}),
    )
    assert flavor.read("m", tmp_path).task == "llm/v1/embeddings"


def test_weights_in_the_layout_before_2_4_1_are_found(tmp_path: Path) -> None:
    folder = logged(tmp_path, transformers={"model_binary": None})
    (folder / "model").rename(folder / "pipeline")
    assert resolve(str(folder)).model_dir == folder / "pipeline"


def test_weights_in_a_folder_of_the_driver_are_used_and_said(tmp_path: Path) -> None:
    base = tiny.save(tmp_path / "elsewhere", num_labels=3)
    folder = logged(tmp_path / "logged", transformers={"model_binary": None, "source_model_name": str(base)})
    ref = resolve(str(folder))
    assert (ref.model_dir, ref.tokenizer_dir) == (base, base)
    assert ref.notes == (f"the weights lie outside of the registry, in {base}",)
    assert make_bundle(ref, "float32").digest == make_bundle(resolve(str(base)), "float32").digest


def test_weights_in_shards_make_the_same_bundle(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    whole = logged(tmp_path / "whole")
    sharded = logged(tmp_path / "sharded")
    model = AutoModelForSequenceClassification.from_pretrained(whole / "model")
    (sharded / "model" / "model.safetensors").unlink()
    model.save_pretrained(sharded / "model", max_shard_size="20KB")
    assert len(list((sharded / "model").glob("model-*-of-*.safetensors"))) > 3
    assert (sharded / "model" / "model.safetensors.index.json").exists()
    one, two = (make_bundle(resolve(str(folder)), "float32") for folder in (whole, sharded))
    assert one.digest == two.digest
