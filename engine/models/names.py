"""The names that transformers' pipelines and MLflow give tasks and parameters → ours. Runs on the driver."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from engine.errors import UnsupportedTaskError

_SAME: Final = {
    "sentiment-analysis": "text-classification",
    "ner": "token-classification",
    "text-to-speech": "text-to-audio",
    "conversational": "llm/v1/chat",
}
_TRANSLATION: Final = re.compile(r"translation_(?P<source_language>\w+?)_to_(?P<target_language>\w+)")

_IMAGES: Final = "images and video are not scored; run it through mlflow.pyfunc.spark_udf"
_REFUSED: Final = dict.fromkeys(
    (
        "any-to-any",
        "depth-estimation",
        "document-question-answering",
        "image-classification",
        "image-feature-extraction",
        "image-segmentation",
        "image-text-to-text",
        "image-to-image",
        "image-to-text",
        "keypoint-matching",
        "mask-generation",
        "object-detection",
        "video-classification",
        "visual-question-answering",
        "vqa",
        "zero-shot-image-classification",
        "zero-shot-object-detection",
    ),
    _IMAGES,
)

_GENERATION: Final = {"num_return_sequences": "n"}
#: What parameters of a task are called in transformers' pipelines, where we say it otherwise.
_PARAMETERS: Final[Mapping[str, Mapping[str, str]]] = {
    "token-classification": {"aggregation_strategy": "aggregation"},
    "question-answering": {
        "topk": "top_k",
        "max_answer_len": "max_answer_length",
        "max_question_len": "max_question_length",
        "max_seq_len": "max_length",
        "handle_impossible_answer": "impossible_answers",
    },
    "summarization": _GENERATION,
    "translation": {**_GENERATION, "src_lang": "source_language", "tgt_lang": "target_language"},
    "text2text-generation": _GENERATION,
    "automatic-speech-recognition": {
        "condition_on_prev_tokens": "condition_on_previous",
        "task": "speech_task",
        "temperature": "temperatures",
    },
    # transformers counts the prompt's tokens in: our max_length, of the prompt alone, would cut it
    "text-generation": {**_GENERATION, "max_length": "max_length of prompt and text together"},
    "llm/v1/completions": {
        **_GENERATION,
        "max_tokens": "max_new_tokens",
        "max_length": "max_length of prompt and text together",
    },
    "llm/v1/chat": {
        **_GENERATION,
        "max_new_tokens": "max_tokens",
        "max_completion_tokens": "max_tokens",
        "min_new_tokens": "min_tokens",
        "max_length": "max_length of prompt and text together",
    },
    "text-to-audio": {"speaker_embeddings": "speaker_embedding", "speaker_ids": "speaker_id"},
}
#: Tasks whose written text transformers bounds by max_length and min_length, the decoder's first token counted in.
_WRITTEN: Final = ("summarization", "translation", "text2text-generation")
_GENERATIVE: Final = (*_WRITTEN, "text-generation", "llm/v1/completions", "llm/v1/chat")
#: Parameters of chats that mean nothing where the likeliest token is taken.
_CHANCE: Final = ("temperature", "top_k", "top_p", "min_p")
#: What a pipeline of speech times → what we do.
_TIMESTAMPS: Final[Mapping[Any, str]] = {False: "none", True: "segments", "word": "words"}
#: Arguments of a pipeline of speech that are as good as left out where they are null.
_NULL: Final = ("chunk_length_s", "return_timestamps", "stride_length_s", "temperature")
#: Ours, that of transformers' pipelines, and its generate's, in order of precedence.
_STOP: Final = ("stop", "stop_sequence", "stop_strings")


def task_of(name: str) -> str:
    """Our name of a task: ``ner`` → token-classification, ``translation_en_to_de`` → translation; others as they are.

    Raises UnsupportedTaskError, with what to do instead, for tasks on images and video.
    """
    if name in _REFUSED:
        raise UnsupportedTaskError(f"expected a task on texts or audio, got {name}: {_REFUSED[name]}")
    return "translation" if _TRANSLATION.fullmatch(name) else _SAME.get(name, name)


def languages(name: str) -> dict[str, str]:
    """The parameters that a task's name holds: ``translation_en_to_de`` → source_language en, target_language de."""
    found = _TRANSLATION.fullmatch(name)
    return found.groupdict() if found else {}


def params_of(task: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters under our names, and as we have them.

    Bounds of a text that is written are numbers of new tokens, stop strings a list; a stride asks for windows. What a
    pipeline of speech hands to generate stands beside its other parameters.
    """
    if task == "automatic-speech-recognition":
        params = _speech(params)
    if task == "text-to-audio":
        params = _spoken(params)
    ours = _PARAMETERS.get(task, {})
    named = {ours.get(name, name): value for name, value in params.items()}
    if task in _GENERATIVE:
        named = _stop(named)
    if task == "llm/v1/chat":
        named = _chat(named)
    if task == "token-classification" and named.get("stride") is not None:
        named.setdefault("long_text", "chunk")  # of transformers' pipeline a stride alone asks for windows
    return _new_tokens(named) if task in _WRITTEN else named


def _speech(params: Mapping[str, Any]) -> dict[str, Any]:
    """What a pipeline of speech takes, generate's arguments among it, as our parameters."""
    given = {**params, **(params.get("generate_kwargs") or {})}
    given = {name: value for name, value in given.items() if value is not None or name not in _NULL}
    given.pop("generate_kwargs", None)
    if given.get("return_timestamps") in (True, False, "word"):
        given["timestamps"] = _TIMESTAMPS[given.pop("return_timestamps")]
    if isinstance(given.get("temperature"), int | float):
        given["temperature"] = [given["temperature"]]
    window = given.pop("chunk_length_s", 0)
    if not window:  # the pipeline's default, with which it reads Whisper's windows in sequence: long_form asks for that
        return given
    stride = given.pop("stride_length_s", window / 6)  # the pipeline's default
    both = max(stride) if isinstance(stride, list | tuple) else stride
    return {**given, "long_form": "fast", "window_s": window, "stride_s": both}


def _spoken(params: Mapping[str, Any]) -> dict[str, Any]:
    """The pipeline's forward_params and generate_kwargs beside the other parameters; a batch of one embedding is it."""
    nested = {
        name: params[name] for name in ("forward_params", "generate_kwargs") if isinstance(params.get(name), Mapping)
    }
    given = {name: value for name, value in params.items() if name not in nested}
    for values in nested.values():
        given |= values
    embedding = given.get("speaker_embeddings")
    if isinstance(embedding, list) and len(embedding) == 1 and isinstance(embedding[0], list):
        given["speaker_embeddings"] = embedding[0]
    return given


def _chat(params: Mapping[str, Any]) -> dict[str, Any]:
    """A temperature says what do_sample does: 0 takes the likeliest token."""
    given = {name: value for name, value in params.items() if value is not None}
    samples = given.pop("do_sample", None)
    if samples is False:
        given = {**{name: value for name, value in given.items() if name not in _CHANCE}, "temperature": 0}
    elif samples:
        given.setdefault("temperature", 1.0)
    return given


def _stop(params: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in params.items() if name not in _STOP}
    stop = next((params[name] for name in _STOP if params.get(name) is not None), None)
    return given if stop is None else {**given, "stop": [stop] if isinstance(stop, str) else stop}


def _new_tokens(params: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(params)
    for total, new, least in (("max_length", "max_new_tokens", 1), ("min_length", "min_new_tokens", 0)):
        if isinstance(value := given.pop(total, None), int):
            given.setdefault(new, max(least, value - 1))  # where both are given transformers takes the new ones
    return given
