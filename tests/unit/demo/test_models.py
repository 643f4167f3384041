from __future__ import annotations

from pathlib import Path

import pytest

from demo.models import fit_head, log_chat, log_classifier, log_encoder, log_recognizer, use_folder
from demo.reviews import LABELS, read, split
from engine.models.registry import resolve

pytestmark = [
    pytest.mark.weights,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),  # of MLflow's own mappings
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),  # of its own types
]


@pytest.fixture(autouse=True)
def _registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "Default")  # put back afterwards: use_folder sets it
    monkeypatch.chdir(tmp_path)
    use_folder(tmp_path / "artifacts")


def test_the_classifier_is_what_was_fitted(tmp_path: Path) -> None:
    reviews = split(read()).fit[:16]
    model, tokenizer = fit_head([r.body for r in reviews], [r.label for r in reviews], LABELS, layers=0, epochs=1)
    assert log_classifier("sentiment", model, tokenizer) == "1"
    assert log_classifier("sentiment", model, tokenizer) == "2"
    ref = resolve("models:/sentiment@champion")
    assert (ref.pinned, ref.task, ref.dtype) == ("models:/sentiment/2", "text-classification", "float32")
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "artifacts"}


def test_the_encoder_says_how_it_pools() -> None:
    from mlflow.models import Model

    assert log_encoder("minilm") == "1"
    ref = resolve("models:/minilm@champion", task="embeddings")
    assert (ref.version, ref.task) == ("1", "embeddings")
    logged = Model.load(str(ref.model_dir.parent)).flavors["python_function"]
    assert logged["config"] == {"pooling": "mean", "normalize": True, "max_length": 256}


def test_the_recognizer_has_its_feature_extractor() -> None:
    assert log_recognizer("whisper") == "1"
    ref = resolve("models:/whisper@champion")
    assert (ref.version, ref.task, ref.dtype) == ("1", "automatic-speech-recognition", "float32")
    assert (ref.model_dir.parent / "components" / "feature_extractor" / "preprocessor_config.json").is_file()


def test_the_chat_model_says_that_it_chats_and_has_its_template() -> None:
    assert log_chat("smollm2") == "1"
    ref = resolve("models:/smollm2@champion")
    assert (ref.version, ref.task, ref.dtype) == ("1", "llm/v1/chat", "float32")
    assert (ref.model_dir.parent / "components" / "tokenizer" / "chat_template.jinja").is_file()
