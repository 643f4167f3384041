"""transformers' own pipelines, for tasks that the engine has no code for: which of them a bundle can carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from engine.errors import ModelError
from engine.schema import SCHEMAS

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.models.load import LoadedModel

#: The one input role of a pipeline.
ROLE: Final = "text"
#: Arguments of a logged pipeline that say how it is run, which is decided here.
NOT_CALLED: Final = frozenset({"batch_size", "device", "device_map", "dtype", "num_workers", "torch_dtype"})


def takes(task: str) -> bool:
    """Whether transformers has a pipeline of that name which a bundle can carry: text, a model and its tokenizer."""
    canonical, found = _known(task)
    if canonical in SCHEMAS or found.get("type", "text") != "text" or not found:
        return False
    impl = _class(found["impl"])
    needed = [getattr(impl, f"_load_{part}") for part in ("image_processor", "feature_extractor", "processor")]
    return impl._load_tokenizer is not False and True not in needed


def auto_class(task: str, config: Any) -> Any:
    """The auto class that loads a model of this configuration for a pipeline.

    Raises ModelError where the pipeline has none for it.
    """
    classes = _known(task)[1].get("pt", ())
    for auto in classes:
        if type(config) in auto._model_mapping:
            return auto
    names = ", ".join(auto.__name__ for auto in classes)
    raise ModelError(
        f"expected a model that {task} runs ({names}), got a {config.model_type}: log it with its own task"
    )


def predictor(task: str, loaded: LoadedModel) -> Any:
    """``engine.tasks.foreign.Predict`` of a pipeline over a loaded model. Runs in the worker.

    Rows go through one by one: a pipeline's own batches pad in the order of arrival, which is slower and moves scores.
    """
    import transformers

    try:
        pipe = transformers.pipeline(task, model=loaded.model, tokenizer=loaded.tokenizer, device=loaded.device)
    except Exception as error:
        raise ModelError(
            f"expected a {task} pipeline that a model and its tokenizer are enough for, "
            f"{type(error).__name__} was raised: {error}"
        ) from error

    def predict(columns: Mapping[str, pa.Array], call: Mapping[str, Any]) -> Sequence[Any]:
        return [pipe(text, **call) for text in columns[ROLE].to_pylist()]

    return predict


def _known(task: str) -> tuple[str, Mapping[str, Any]]:
    """The pipeline's own name (a task may have another) and what transformers knows of it; empty for no pipeline."""
    from transformers.pipelines import PIPELINE_REGISTRY

    try:
        name, found, _ = PIPELINE_REGISTRY.check_task(task)
    except KeyError:
        return task, {}
    return name, found


def _class(impl: Any) -> Any:
    """A pipeline's class; current releases of transformers name theirs by a dotted path."""
    module, _, name = impl.rpartition(".") if isinstance(impl, str) else ("", "", "")
    return getattr(import_module(module), name) if module else impl
