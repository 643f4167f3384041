"""A folder with a transformers model: what it says of itself, and what must not be in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError, ModelNotFoundError, UnsupportedTaskError
from engine.models import vocoder
from engine.models.safety import paths, pickles, remote
from engine.tasks import task_class

#: Of PEFT; transformers loads what it names.
_ADAPTER: Final = "adapter_config.json"
_OTHER_FRAMEWORKS: Final = ("*.h5", "*.msgpack", "*.onnx", "*.gguf")

#: Encoders of sound, whose ForSequenceClassification hears recordings.
_SOUND: Final = (
    *("Data2VecAudio", "Hubert", "SEW", "SEWD", "UniSpeech", "UniSpeechSat"),
    *("Wav2Vec2", "Wav2Vec2Bert", "Wav2Vec2Conformer", "WavLM"),
)
#: What a folder that names no task is for, by the ending of its architecture, where that leaves no doubt.
_TASK_OF: Final = {
    "TapasForQuestionAnswering": "table-question-answering",
    "MarianMTModel": "translation",
    **dict.fromkeys((f"{one}ForSequenceClassification" for one in _SOUND), "audio-classification"),
    "ForAudioClassification": "audio-classification",
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
    "ForQuestionAnswering": "question-answering",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "WhisperForConditionalGeneration": "automatic-speech-recognition",
    "ForCTC": "automatic-speech-recognition",
    "ClapModel": "zero-shot-audio-classification",
    "VitsModel": "text-to-audio",
    "FastSpeech2ConformerWithHifiGan": "text-to-audio",
    "SpeechT5ForTextToSpeech": "text-to-audio",
}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file, empty where there is no such file."""
    if not path.exists():
        return {}
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def check(model_dir: Path, *preparation: Path | None, allow_foreign_code: bool = False) -> None:
    """Refuses a folder that can't be loaded, or only by running or unpickling what lies in it. Runs on the driver.

    Args:
        model_dir: configuration and weights; a vocoder in it is looked at too.
        preparation: the folders of tokenizer and feature extractor; None is passed over.
        allow_foreign_code: lets an auto_map and kernels pass (``engine.models.safety.remote``).

    Raises ModelNotFoundError without a config.json, UnsafeModelError for remote code, pickled weights and files
    elsewhere, and ModelError for a folder without weights, or with an adapter that transformers would load by itself.
    """
    if not (model_dir / "config.json").exists():
        raise ModelNotFoundError(f"expected a transformers model with a config.json in {model_dir}, found none")
    beside = model_dir / vocoder.FOLDER
    read = [folder for folder in (model_dir, beside, *preparation) if folder is not None]
    remote.check(dict.fromkeys(read), allow_foreign_code=allow_foreign_code)
    paths.check_model(model_dir)
    if (model_dir / _ADAPTER).exists():
        raise ModelError(
            f"expected a model without an adapter in {model_dir}, it has an {_ADAPTER}, which transformers would "
            "follow: log the PEFT model, or merge it (model.merge_and_unload()) and log the merged model"
        )
    for folder in (model_dir, *((beside,) if beside.is_dir() else ())):
        _check_weights(folder)


def _check_weights(model_dir: Path) -> None:
    if any(model_dir.glob("*.safetensors")):
        return
    pickles.refuse(
        model_dir,
        expected="safetensors weights",
        advice="Load it where it is trusted, save the model again with save_pretrained(…) of a current transformers, "
        "and log that",
    )
    for pattern in _OTHER_FRAMEWORKS:
        for found in model_dir.glob(pattern):
            raise ModelError(
                f"expected PyTorch weights as safetensors in {model_dir}, found only {found.name}: load it in the "
                "framework it is of, convert it, and save it with save_pretrained of transformers' PyTorch class "
                "(from_pretrained(…, from_tf=True) or from_flax=True in transformers 4)"
            )
    raise ModelError(f"expected weights (*.safetensors) in {model_dir}, found none: log the model with its weights")


def infer_task(model_dir: Path) -> str | None:
    """The task a plain folder tells of itself: embeddings where it ships a pooling, else by its architecture."""
    if (model_dir / "1_Pooling" / "config.json").exists():
        return "embeddings"
    return task_of(read_json(model_dir / "config.json").get("architectures") or [])


def task_of(architectures: Iterable[str]) -> str | None:
    """The task that a model's class leaves no doubt of; None where it leaves some."""
    for architecture in architectures:
        for ending, task in _TASK_OF.items():
            if architecture.endswith(ending):
                return task
    return None


def check_task(model_dir: Path, task: str) -> None:
    """Raises UnsupportedTaskError where the checkpoint's architecture does not have the task's head."""
    ending = task_class(task).architecture
    architectures = read_json(model_dir / "config.json").get("architectures") or []
    if ending and architectures and not any(name.endswith(ending) for name in architectures):
        wanted = " or ".join(f"…{one}" for one in ([ending] if isinstance(ending, str) else ending))
        raise UnsupportedTaskError(
            f"expected an architecture {wanted} for {task}, the model is {', '.join(architectures)}: "
            "give the task it was trained for, or log the fine-tuned model"
        )
