"""The fresh heads of the models that are measured: seeded, and drawn so that rows differ in their answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.text.texts import texts

#: The labels of each task's head.
LABELS: Final[Mapping[str, dict[int, str]]] = {
    "text-classification": {0: "NEGATIVE", 1: "POSITIVE"},
    "token-classification": dict(enumerate(["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"])),
    "zero-shot-classification": {0: "contradiction", 1: "neutral", 2: "entailment"},
    "reranking": {0: "LABEL_0"},
}
_STD: Final = 2.0  # of a label's logits over the rows
_ENTITIES: Final = 0.1  # of the tokens, as in running text


def auto_class(task: str) -> Any:
    """What loads a model with the task's head."""
    import transformers

    kind = "Token" if task == "token-classification" else "Sequence"
    return getattr(transformers, f"AutoModelFor{kind}Classification")


def names(task: str) -> dict[str, Any]:
    """The labels, as a configuration has them."""
    return {"id2label": LABELS[task], "label2id": {label: i for i, label in LABELS[task].items()}}


def spread(model: Any, tokenizer: Any, task: str) -> None:
    """Scales a fresh head's logits to mean 0 and deviation 2; of tokens, one in ten is part of an entity.

    As drawn, a head scores all rows alike to the third digit: wrong answers would pass for right ones, and every token
    would be an entity, which nothing is made for.
    """
    import torch

    head = model.classifier
    model.eval()
    with torch.inference_mode():
        found = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts(64, 27)]
        logits = torch.cat(found) if task == "token-classification" else torch.stack(found)
    with torch.no_grad():
        scale = _STD / logits.std(dim=0)
        head.bias.copy_((head.bias - logits.mean(dim=0)) * scale)
        head.weight.mul_(scale[:, None])
        if task == "token-classification":
            scaled = (logits - logits.mean(dim=0)) * scale
            head.bias[0] += (scaled[:, 1:].max(dim=1).values - scaled[:, 0]).quantile(1 - _ENTITIES)
