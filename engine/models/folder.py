"""A folder with a transformers model: what it says of itself, and what must not be in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError, ModelNotFoundError, UnsafeModelError, UnsupportedTaskError
from engine.tasks import task_class

_PICKLED: Final = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
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


def check(model_dir: Path, tokenizer_dir: Path) -> None:
    """Refuses a folder that can't be loaded, or only by running or unpickling what lies in it. Runs on the driver.

    Raises ModelNotFoundError without a config.json, UnsafeModelError for remote code and pickled weights, and
    ModelError for a folder without weights.
    """
    if not (model_dir / "config.json").exists():
        raise ModelNotFoundError(f"expected a transformers model with a config.json in {model_dir}, found none")
    for name in ("config.json", "tokenizer_config.json"):
        for folder in {model_dir, tokenizer_dir}:
            if "auto_map" in read_json(folder / name):
                raise UnsafeModelError(
                    f"{folder / name} has an auto_map: loading it would run the model's own code (trust_remote_code). "
                    "Log a model of an architecture that transformers has"
                )
    if any(model_dir.glob("*.safetensors")):
        return
    for pattern in _PICKLED:
        for found in model_dir.glob(pattern):
            raise UnsafeModelError(
                f"expected safetensors weights in {model_dir}, found only {found.name}, which is unpickled to be read. "
                "Load it where it is trusted, save the model again with save_pretrained(…) of a current transformers, "
                "and log that"
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
