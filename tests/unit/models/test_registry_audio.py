"""Models that hear, logged by stock ``mlflow.transformers.log_model`` in every shape: found, bundled, loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.models.bundle import make_bundle
from engine.models.load import LoadedModel, load
from engine.models.ref import ModelRef
from engine.models.registry import resolve
from engine.tasks.check import check
from engine.tasks.params import parse_params
from tests import audio_models, ctc_models, scoring

pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),  # of MLflow's own mappings
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),  # of its own types
]


@pytest.fixture(scope="module", autouse=True)
def _registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
        patch.chdir(home)
        import mlflow

        # By the environment: set_experiment would name it to every test that comes after these.
        patch.setenv("MLFLOW_EXPERIMENT_ID", mlflow.create_experiment("audio", (home / "artifacts").as_uri()))
        yield


def log(model: Any, task: str, **options: Any) -> ModelRef:
    """Logs as anybody would, with what spares MLflow running it and asking pip, and resolves what was logged."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    with mlflow.start_run():
        logged = mlflow.transformers.log_model(
            model,
            name="model",
            task=task,
            signature=ModelSignature(Schema([ColSpec("binary")]), Schema([ColSpec("string", "label")])),
            pip_requirements=["torch", "transformers"],
            **options,
        )
    return resolve(f"models:/{logged.model_id}")


def loaded(ref: ModelRef) -> LoadedModel:
    return load(make_bundle(ref, "float32").path, "cpu")


def parts(folder: Path, auto: str, *, tokenizer: bool = True) -> dict[str, Any]:
    import transformers

    found = {"model": getattr(transformers, auto).from_pretrained(folder)}
    found["feature_extractor"] = transformers.AutoFeatureExtractor.from_pretrained(folder)
    return found | ({"tokenizer": transformers.AutoTokenizer.from_pretrained(folder)} if tokenizer else {})


@pytest.mark.parametrize("shape", ["parts", "pipeline"])
def test_a_classifier_of_recordings(tmp_path: Path, shape: str) -> None:
    from transformers import pipeline

    task = "audio-classification"
    folder = audio_models.save_encoder(tmp_path / "model", num_labels=3)
    model: Any = parts(folder, "AutoModelForAudioClassification", tokenizer=False)
    if shape == "pipeline":
        model = pipeline(task, **model)
    ref = log(model, task, model_config={"top_k": 2, "function_to_apply": "sigmoid"})
    assert (ref.task, ref.params) == (task, {"top_k": 2, "function_to_apply": "sigmoid"})
    parse_params(task, ref.params)
    made = loaded(ref)
    assert type(made.features).__name__ == "Wav2Vec2FeatureExtractor"
    assert made.tokenizer is None
    sounds = [audio_models.wav(audio_models.tone(0.3, seed=i)) for i in range(2)]
    assert scoring.rows(scoring.scorer(ref.model_dir.parent, inputs=("audio",)), audio=sounds) == scoring.rows(
        scoring.scorer(folder, inputs=("audio",)), audio=sounds
    )


@pytest.mark.parametrize("shape", ["parts", "pipeline", "pipeline and processor"])
def test_a_whisper(tmp_path: Path, shape: str) -> None:
    from transformers import WhisperProcessor, pipeline

    task = "automatic-speech-recognition"
    model: Any = parts(audio_models.save_whisper(tmp_path / "model"), "AutoModelForSpeechSeq2Seq")
    options = {}
    if shape == "pipeline and processor":
        options["processor"] = WhisperProcessor(model["feature_extractor"], model["tokenizer"])
    if shape != "parts":
        model = pipeline(task, **model)
    asked = {"return_timestamps": "word", "chunk_length_s": 30, "generate_kwargs": {"language": "en", "num_beams": 1}}
    ref = log(model, task, model_config=asked, **options)
    named = {"timestamps": "words", "long_form": "fast", "window_s": 30, "stride_s": 5.0, "language": "en"}
    assert (ref.task, ref.params) == (task, {**named, "num_beams": 1})
    parse_params(task, named)
    made = loaded(ref)
    assert type(made.features).__name__ == "WhisperFeatureExtractor"
    assert made.features.n_samples == audio_models.RATE
    assert made.tokenizer.decode(made.tokenizer("a long day")["input_ids"], skip_special_tokens=True) == "a long day"
    assert made.model.generation_config.max_length == 40


def test_a_ctc_model_that_was_logged_with_the_pipelines_default(tmp_path: Path) -> None:
    task = "automatic-speech-recognition"
    folder = ctc_models.save(tmp_path / "model")
    ref = log(parts(folder, "AutoModelForCTC"), task, model_config={"chunk_length_s": 0, "return_timestamps": "word"})
    assert (ref.task, ref.params) == (task, {"timestamps": "words"})
    bundle = make_bundle(ref, "float32")
    check(task, bundle, ref.params, root=tmp_path)
    sound = [audio_models.wav(audio_models.tone(0.5, seed=1))]
    made, own = (scoring.scorer(one, inputs=("audio",)) for one in (ref.model_dir.parent, folder))
    assert scoring.rows(made, audio=sound) == scoring.rows(own, audio=sound)


@pytest.mark.parametrize("shape", ["parts", "pipeline and processor"])
def test_a_clap(tmp_path: Path, shape: str) -> None:
    from transformers import ClapProcessor, pipeline

    task = "zero-shot-audio-classification"
    folder = audio_models.save_clap(tmp_path / "model")
    model: Any = parts(folder, "AutoModel")
    options = {}
    if shape != "parts":
        options["processor"] = ClapProcessor(model["feature_extractor"], model["tokenizer"])
        model = pipeline(task, **model)
    asked = {"candidate_labels": ["water", "day"], "hypothesis_template": "it is {}"}
    ref = log(model, task, model_config=asked, **options)
    assert (ref.task, ref.params) == (task, {})  # MLflow gives it no python_function, which would hold them
    made = loaded(ref)
    assert (made.features.sampling_rate, made.features.nb_max_samples) == (48_000, 48_000)
    sound = [audio_models.wav(audio_models.tone(0.3, seed=1, rate=48_000), 48_000)]
    found, expected = (
        scoring.rows(scoring.scorer(one, inputs=("audio",), params=asked), audio=sound)
        for one in (ref.model_dir.parent, folder)
    )
    assert found == expected
