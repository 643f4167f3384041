"""What is written: both flavors of every task, from folders whose weights are not loaded, and by models never run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import torch
import transformers
import yaml
from safetensors.torch import load_file

import udfs.pyfunc
from engine.errors import ModelError, ModelNotFoundError, SchemaError, UnsafeModelError, UnsupportedTaskError
from engine.models.bundle import make_bundle
from engine.models.registry import resolve
from engine.schema import SCHEMAS
from tests import audio_models, chats, ctc_models, generation, speech, tagging, tiny


def reranker(folder: Path) -> Path:
    return tiny.save(folder, num_labels=1)


def encoder(folder: Path) -> Path:
    return tiny.save(folder, head="")


#: Task as it is given → what saves a model of it, and the pipeline that MLflow's own flavor names.
KINDS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "sentiment-analysis": (tiny.save, "text-classification"),
    "token-classification": (tagging.save, "token-classification"),
    "zero-shot-classification": (
        lambda folder: tiny.save(folder, num_labels=2, id2label={0: "entailment", 1: "contradiction"}),
        "zero-shot-classification",
    ),
    "fill-mask": (lambda folder: tiny.save(folder, head="MaskedLM"), "fill-mask"),
    "question-answering": (lambda folder: tiny.save(folder, head="QuestionAnswering"), "question-answering"),
    "table-question-answering": (tiny.save_tapas, "table-question-answering"),
    "summarization": (lambda folder: generation.save(folder, "bart"), "summarization"),
    "translation_en_to_de": (lambda folder: generation.save(folder, "t5"), "translation_en_to_de"),
    "text2text-generation": (lambda folder: generation.save(folder, "t5"), "text2text-generation"),
    "text-generation": (lambda folder: generation.save(folder, "llama"), "text-generation"),
    "llm/v1/completions": (lambda folder: generation.save(folder, "gpt2"), "text-generation"),
    "llm/v1/chat": (chats.save, "text-generation"),
    "embeddings": (encoder, "feature-extraction"),
    "list-embeddings": (encoder, "feature-extraction"),
    "llm/v1/embeddings": (encoder, "feature-extraction"),
    "feature-extraction": (encoder, "feature-extraction"),
    "reranking": (reranker, "text-classification"),
    "automatic-speech-recognition": (audio_models.save_whisper, "automatic-speech-recognition"),
    "audio-classification": (audio_models.save_encoder, "audio-classification"),
    "zero-shot-audio-classification": (audio_models.save_clap, "zero-shot-audio-classification"),
    "text-to-audio": (speech.save_speecht5, "text-to-audio"),
}


def described(artifact: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((artifact / "MLmodel").read_text())
    return found


def files(uri: Path) -> dict[str, Any]:
    """The weights of a model's bundle, by name, with their digests."""
    made = make_bundle(resolve(str(uri)), "float32").manifest.files
    return {name: seen for name, seen in made.items() if name.endswith(".safetensors")}


@pytest.fixture
def never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any model that is run raises."""

    def run(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(transformers.PreTrainedModel, "__call__", run)


@pytest.mark.usefixtures("never_run")
@pytest.mark.parametrize("said", KINDS)
def test_a_folder_of_every_task(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, pipeline = KINDS[said]
    folder, artifact = save(tmp_path / "folder"), tmp_path / "artifact"
    with monkeypatch.context() as patch:
        patch.setattr(transformers.PreTrainedModel, "from_pretrained", None)  # weights are copied, not loaded
        udfs.pyfunc.save_model(str(folder), artifact, task=said)
    ref = resolve(str(artifact))
    assert ref.task == {"sentiment-analysis": "text-classification", "translation_en_to_de": "translation"}.get(
        said, said
    )
    logged = described(artifact)
    assert logged["flavors"]["python_function"]["loader_module"] == "embercast_loader"
    assert logged["flavors"]["transformers"]["task"] == pipeline
    assert ("signature" in logged) == (ref.task != "text-to-audio")
    assert make_bundle(ref, "float32").manifest.task == ref.task
    parts = mlflow.transformers.load_model(str(artifact), return_type="components")
    stored = load_file(folder / "model.safetensors")
    kept = {name: one for name, one in parts["model"].state_dict().items() if name in stored}
    assert kept
    assert all(torch.equal(one, stored[name]) for name, one in kept.items())


def test_every_task_is_among_them() -> None:
    from engine.models.names import task_of

    assert {task_of(said) for said in KINDS} == set(SCHEMAS)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("classifier"), num_labels=3)


def components(folder: Path) -> dict[str, Any]:
    return {
        "model": transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16),
        "tokenizer": transformers.AutoTokenizer.from_pretrained(folder),
    }


@pytest.mark.usefixtures("never_run")
@pytest.mark.parametrize("shape", ["pipeline", "components"])
def test_the_transformers_flavor_is_that_of_mlflow(shape: str, classifier: Path, tmp_path: Path) -> None:
    given: Any = components(classifier)
    if shape == "pipeline":
        given = transformers.pipeline("text-classification", **given)
    arguments: dict[str, Any] = {"task": "text-classification", "model_card": None, "pip_requirements": ["torch"]}
    signature = mlflow.models.infer_signature(["a"], ["b"])
    mlflow.transformers.save_model(given, tmp_path / "stock", signature=signature, **arguments)
    udfs.pyfunc.save_model(given, tmp_path / "own", **arguments)
    stock, own = (described(tmp_path / name)["flavors"]["transformers"] for name in ("stock", "own"))
    assert own == stock
    assert own["torch_dtype"] == "torch.bfloat16"
    assert files(tmp_path / "own") == files(tmp_path / "stock")
    assert mlflow.transformers.load_model(str(tmp_path / "own")).model.dtype == torch.bfloat16


def test_a_processor_is_kept_in_its_parts(tmp_path: Path) -> None:
    folder = audio_models.save_whisper(tmp_path / "folder")
    processor = transformers.WhisperProcessor(
        transformers.AutoFeatureExtractor.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(folder)
    )
    model = transformers.WhisperForConditionalGeneration.from_pretrained(folder)
    udfs.pyfunc.save_model({"model": model}, tmp_path / "artifact", processor=processor)
    assert resolve(str(tmp_path / "artifact")).task == "automatic-speech-recognition"
    assert type(mlflow.transformers.load_model(str(tmp_path / "artifact"))).__name__.startswith("AutomaticSpeech")
    assert files(tmp_path / "artifact") == files(folder)


def test_a_pipeline_of_speech_keeps_its_vocoder(tmp_path: Path) -> None:
    folder = speech.save_speecht5(tmp_path / "folder")
    parts = {
        "model": transformers.SpeechT5ForTextToSpeech.from_pretrained(folder),
        "tokenizer": transformers.AutoTokenizer.from_pretrained(folder),
        "vocoder": transformers.SpeechT5HifiGan.from_pretrained(folder / "vocoder"),
    }
    udfs.pyfunc.save_model(parts, tmp_path / "artifact", task="text-to-speech")
    assert files(tmp_path / "artifact") == files(folder)


def test_a_pipeline_keeps_what_its_folder_ships(tmp_path: Path) -> None:
    folder = encoder(tmp_path / "folder")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    (folder / "modules.json").write_text(
        '[{"path": "", "type": "x.Transformer"}, {"path": "1_Pooling", "type": "x.Pooling"}]'
    )
    udfs.pyfunc.save_model(
        transformers.pipeline("feature-extraction", str(folder)), tmp_path / "artifact", task="llm/v1/embeddings"
    )
    assert make_bundle(resolve(str(tmp_path / "artifact")), "float32").manifest.pooling == "cls"


def test_the_dtype_is_logged(classifier: Path, tmp_path: Path) -> None:
    udfs.pyfunc.save_model(str(classifier), tmp_path / "artifact", torch_dtype=torch.float16)
    assert resolve(str(tmp_path / "artifact")).dtype == "float16"
    assert mlflow.transformers.load_model(str(tmp_path / "artifact")).model.dtype == torch.float16


def test_a_chat_is_what_mlflow_calls_a_chat(tmp_path: Path) -> None:
    folder = chats.save(tmp_path / "folder")
    model = transformers.pipeline("text-generation", str(folder))
    config = {"max_new_tokens": 8, "do_sample": False, "batch_size": 4}
    udfs.pyfunc.save_model(model, tmp_path / "artifact", task="llm/v1/chat", model_config=config, metadata={"a": 1})
    logged = described(tmp_path / "artifact")
    assert logged["metadata"] == {"a": 1, "task": "llm/v1/chat"}
    assert logged["flavors"]["transformers"]["inference_task"] == "llm/v1/chat"
    assert logged["flavors"]["python_function"]["config"] == {"max_tokens": 8, "temperature": 0}
    found = resolve(str(tmp_path / "artifact")).params
    assert (found["max_tokens"], found["temperature"]) == (8, 0)
    with pytest.raises(ModelError, match="expected task llm/v1/chat in the metadata as it is logged, got llm/v1/compl"):
        udfs.pyfunc.save_model(model, tmp_path / "other", task="llm/v1/chat", metadata={"task": "llm/v1/completions"})


def test_a_template_is_kept_where_mlflow_keeps_it(tmp_path: Path) -> None:
    folder = generation.save(tmp_path / "folder", "t5")
    udfs.pyfunc.save_model(str(folder), tmp_path / "artifact", task="summarization", prompt_template="sum up: {prompt}")
    assert described(tmp_path / "artifact")["metadata"] == {"prompt_template": "sum up: {prompt}"}
    assert resolve(str(tmp_path / "artifact")).params["prompt_template"] == "sum up: {prompt}"


def test_ones_own_code_lies_beside_the_loader(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("A = 1\n")
    udfs.pyfunc.save_model(str(classifier), tmp_path / "artifact", code_paths=[str(tmp_path / "mine.py")])
    assert {path.name for path in (tmp_path / "artifact" / "code").iterdir()} == {"mine.py", "embercast_loader.py"}
    assert described(tmp_path / "artifact")["flavors"]["transformers"]["code"] == "code"


@pytest.mark.usefixtures("never_run")
def test_an_example_has_the_columns_of_the_task(classifier: Path, tmp_path: Path) -> None:
    udfs.pyfunc.save_model(
        str(classifier), tmp_path / "artifact", input_example=(["a good day", "no"], {"top_k": 1}), metadata={"b": [2]}
    )
    model = mlflow.models.Model.load(str(tmp_path / "artifact"))
    example = model.load_input_example(str(tmp_path / "artifact"))
    pd.testing.assert_frame_equal(example, pd.DataFrame({"text": ["a good day", "no"]}))
    assert model.load_input_example_params(str(tmp_path / "artifact")) == {"top_k": 1}
    assert model.metadata == {"b": [2]}
    assert model.model_size_bytes > 100_000


def test_what_can_not_be_logged(classifier: Path, tmp_path: Path) -> None:
    def save(given: Any, **arguments: Any) -> None:
        udfs.pyfunc.save_model(given, tmp_path / "artifact", **arguments)

    with pytest.raises(ModelNotFoundError, match=r"HF_HUB_OFFLINE is set|the hub answers"):
        save(str(tmp_path / "none"))
    with pytest.raises(ModelError, match=r"expected a pipeline, a dictionary of model, .*, got int"):
        save(3)
    with pytest.raises(ModelError, match="got model, weights"):
        save({"model": None, "weights": None})
    with pytest.raises(ModelError, match="expected a model of transformers or a PEFT model, got a Linear"):
        save({"model": torch.nn.Linear(1, 1)})
    with pytest.raises(ModelError, match="expected a tokenizer beside the model, which text-classification needs"):
        save({"model": components(classifier)["model"]})
    bare = transformers.AutoModel.from_pretrained(classifier)
    with pytest.raises(UnsupportedTaskError, match="a BertModel does not say its task: give task="):
        save({**components(classifier), "model": bare})
    with pytest.raises(UnsupportedTaskError, match="expected an architecture …ForSequenceClassification"):
        save({**components(classifier), "model": bare}, task="text-classification")
    with pytest.raises(UnsupportedTaskError, match="expected a task among"):
        save(str(classifier), task="text-to-poetry")
    with pytest.raises(UnsupportedTaskError, match="images and video are not scored"):
        save(str(classifier), task="image-to-text")
    with pytest.raises(ModelError, match="expected a PEFT adapter with base_model_path"):
        save(str(classifier), base_model_path=classifier)
    with pytest.raises(ModelError, match=r"with a config\.json in .*/none, found none"):
        save(str(classifier), base_model_path=tmp_path / "none")
    pickled = tiny.save(tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(UnsafeModelError, match=r"found only pytorch_model\.bin"):
        save(str(pickled))


def test_no_signature_holds_sounds(tmp_path: Path) -> None:
    folder = speech.save(tmp_path / "folder")
    with pytest.raises(SchemaError, match="stock spark_udf refuses"):
        udfs.pyfunc.save_model(
            str(folder), tmp_path / "artifact", signature=mlflow.models.infer_signature(["a"], [b"b"])
        )


def test_code_and_checkpoints_of_a_folder_stay_behind(tmp_path: Path) -> None:
    folder = ctc_models.save(tmp_path / "folder")
    (folder / "modeling.py").write_text("raise SystemExit\n")
    (folder / "training_args.bin").write_bytes(b"pickle")
    tiny.save(folder / "checkpoint-3")
    udfs.pyfunc.save_model(str(folder), tmp_path / "artifact")
    kept = {path.name for path in (tmp_path / "artifact" / "model").iterdir()}
    assert not kept & {"modeling.py", "training_args.bin", "checkpoint-3"}
    assert {"config.json", "model.safetensors", "vocab.json"} <= kept
