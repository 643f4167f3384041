"""The tasks: one file each, one line here. Importing this imports no model library."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from engine.schema import SCHEMAS, schema_of
from engine.tasks.base import Encoded, Task

TASKS: Final[Mapping[str, str]] = {
    "text-classification": "engine.tasks.text_classification:TextClassification",
    "token-classification": "engine.tasks.token_classification:TokenClassification",
    "zero-shot-classification": "engine.tasks.zero_shot_classification:ZeroShotClassification",
    "fill-mask": "engine.tasks.fill_mask:FillMask",
    "question-answering": "engine.tasks.question_answering:QuestionAnswering",
    "table-question-answering": "engine.tasks.table_question_answering:TableQuestionAnswering",
    "summarization": "engine.tasks.text_to_text:Summarization",
    "translation": "engine.tasks.text_to_text:Translation",
    "text2text-generation": "engine.tasks.text_to_text:TextToText",
    "text-generation": "engine.tasks.text_generation:TextGeneration",
    "llm/v1/completions": "engine.tasks.text_generation:Completions",
    "llm/v1/chat": "engine.tasks.chat:Chat",
    "embeddings": "engine.tasks.embeddings:Embeddings",
    "list-embeddings": "engine.tasks.list_embeddings:ListEmbeddings",
    "llm/v1/embeddings": "engine.tasks.list_embeddings:LlmEmbeddings",
    "feature-extraction": "engine.tasks.feature_extraction:FeatureExtraction",
    "reranking": "engine.tasks.reranking:Reranking",
    "automatic-speech-recognition": "engine.tasks.speech_recognition:SpeechRecognition",
    "audio-classification": "engine.tasks.audio_classification:AudioClassification",
    "zero-shot-audio-classification": "engine.tasks.zero_shot_audio_classification:ZeroShotAudioClassification",
    "text-to-audio": "engine.tasks.text_to_audio:TextToAudio",
}


#: What scores a model of no task in the table: see ``is_foreign``.
_FOREIGN: Final = "engine.tasks.foreign:Foreign"
#: The task of a logged model that is no transformers flavor.
PYFUNC: Final = "pyfunc"


def is_foreign(name: str) -> bool:
    """Whether a task that the table lacks runs through the generic adapter: PyFuncs and transformers' own pipelines."""
    if name in SCHEMAS:
        return False
    from engine.models import pipelines

    return name == PYFUNC or pipelines.takes(name)


def task_class(name: str) -> Any:
    """The class of a task. Raises UnsupportedTaskError with the list of tasks where there is none."""
    if not is_foreign(name):
        schema_of(name)
    module, _, attribute = TASKS.get(name, _FOREIGN).partition(":")
    return getattr(import_module(module), attribute)


__all__ = ["PYFUNC", "TASKS", "Encoded", "Task", "is_foreign", "task_class"]
