"""The ``transformers`` flavor of an artifact, as ``mlflow.transformers.log_model`` would have written it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.errors import ModelError
from engine.models import names

#: The key of the flavor.
FLAVOR: Final = "transformers"
#: Which of transformers' pipelines runs the model of a task that is none of theirs.
_PIPELINES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("embeddings", "list-embeddings", "llm/v1/embeddings"), "feature-extraction"),
    **dict.fromkeys(("llm/v1/chat", "llm/v1/completions"), "text-generation"),
    "reranking": "text-classification",
}
#: Those that transformers 4 had.
_GONE: Final[Mapping[str, str]] = {
    "summarization": "SummarizationPipeline",
    "translation": "TranslationPipeline",
    "text2text-generation": "Text2TextGenerationPipeline",
    "question-answering": "QuestionAnsweringPipeline",
}


def flavor(task: str, said: str, files: Mapping[str, Any], *, dtype: Any, code: str | None) -> dict[str, Any]:
    """The flavor's entries.

    Args:
        task: of the table.
        said: the task as it was given, which may name languages.
        files: what ``udfs.pyfunc.files`` says.
        dtype: that the weights are loaded in, torch's or its name.
        code: the folder of the user's own code, if any.
    """
    pipeline = said if names.languages(said) else _PIPELINES.get(task, task)
    own = {"task": pipeline, "instance_type": _GONE.get(task) or _class(pipeline)}
    if task.startswith("llm/"):
        own["inference_task"] = task
    if dtype is not None:
        own["torch_dtype"] = str(dtype)
    return {**own, **files, "code": code}


def metadata(task: str, given: Mapping[str, Any], template: str | None) -> dict[str, Any] | None:
    """The model's metadata with what MLflow keeps there: the ``llm/v1/…`` task and the prompt template.

    Raises ModelError where the metadata name another task.
    """
    other = given.get("task")
    if isinstance(other, str) and other.startswith("llm/") and other != task:
        raise ModelError(f"expected task {task} in the metadata as it is logged, got {other}: leave it out there")
    own = {"task": task} if task.startswith("llm/") else {}
    return {**given, **own, **({"prompt_template": template} if template is not None else {})} or None


def _class(pipeline: str) -> str:
    from transformers.pipelines import PIPELINE_REGISTRY

    impl = PIPELINE_REGISTRY.check_task(pipeline)[1]["impl"]
    return impl.rpartition(".")[2] if isinstance(impl, str) else str(impl.__name__)
