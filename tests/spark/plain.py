"""What plain transformers says of one text, and a model whose scoring in the workers a test looks into."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.scorer import Scored
from udfs.scoring import PreparedModel
from udfs.worker import Descriptor


def scores(folder: Path, text: str, pair: str | None = None) -> dict[str, float]:
    """Label → softmax score, in float32, of one text alone."""
    import torch

    model, tokenizer = _load(folder, "AutoModelForSequenceClassification")
    with torch.no_grad():
        logits = model(**tokenizer(text, pair, truncation=True, return_tensors="pt")).logits[0]
    return {model.config.id2label[i]: score for i, score in enumerate(logits.softmax(-1).tolist())}


def embedding(folder: Path, text: str) -> list[float]:
    """The mean of the last hidden states, in float32, of one text alone."""
    import torch

    model, tokenizer = _load(folder, "AutoModel")
    with torch.no_grad():
        hidden = model(**tokenizer(text, truncation=True, return_tensors="pt")).last_hidden_state[0]
    vector: list[float] = hidden.mean(dim=0).tolist()
    return vector


@lru_cache
def _load(folder: Path, auto: str) -> Any:
    import torch
    import transformers

    model = getattr(transformers, auto).from_pretrained(folder, dtype=torch.float32).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def watched(model: PreparedModel, around: Callable[[Iterator[Scored]], Iterator[Scored]]) -> PreparedModel:
    """The same model; ``around`` runs in the workers and sees every window on its way out."""

    class Watched(Descriptor):  # a local class, so that it travels by value
        def score(self, batches: Any) -> Iterator[Scored]:
            return around(Descriptor.score(self, batches))

    class Model(PreparedModel):
        def descriptor(self, inputs: Mapping[str, str]) -> Descriptor:
            return Watched(**vars(model.descriptor(inputs)))

    return Model(**vars(model))
