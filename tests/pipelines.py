"""A pipeline that no task of the engine stands for: transformers has none such left, so a program's own, registered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

NAME: Final = "text-weighing"


@contextmanager
def registered(name: str = NAME) -> Iterator[str]:
    """Within the block transformers knows a pipeline that gives a text's first logit and how many there are."""
    from transformers import AutoModelForSequenceClassification, Pipeline
    from transformers.pipelines import PIPELINE_REGISTRY

    class Weighing(Pipeline):
        _load_processor = _load_image_processor = _load_feature_extractor = False
        _load_tokenizer = True

        def _sanitize_parameters(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
            return {}, {}, given

        def preprocess(self, text: str, **given: Any) -> Any:
            return self.tokenizer(text, return_tensors="pt")

        def _forward(self, inputs: Any, **given: Any) -> Any:
            return self.model(**inputs)

        def postprocess(self, outputs: Any, unit: str = "kg", **given: Any) -> dict[str, Any]:
            return {"weight": float(outputs.logits[0, 0]), "logits": outputs.logits.shape[1], "unit": unit}

    PIPELINE_REGISTRY.register_pipeline(
        name, pipeline_class=Weighing, pt_model=AutoModelForSequenceClassification, type="text"
    )
    try:
        yield name
    finally:
        del PIPELINE_REGISTRY.supported_tasks[name]
