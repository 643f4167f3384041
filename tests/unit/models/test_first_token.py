"""The last layer computes one token where the head reads one: the same answers, less arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from engine.models.first_token import first_token_only
from tests import tiny

KNOWN = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "ernie", "distilbert")


def plain(folder: Path, architecture: str, **options: Any) -> Any:
    tiny.save(folder, architecture, num_labels=3)
    return AutoModelForSequenceClassification.from_pretrained(folder, **options).eval()


def inputs() -> dict[str, Any]:
    """Three texts of 12, 5 and 1 tokens, padded on the right."""
    lengths = torch.tensor([[12], [5], [1]])
    mask = (torch.arange(12) < lengths).long()
    ids = torch.randint(5, 100, (3, 12), generator=torch.Generator().manual_seed(4))
    return {"input_ids": ids * mask, "attention_mask": mask}


def widths(model: Any, layer: Any, batch: dict[str, Any]) -> tuple[Any, list[int]]:
    """The logits, and how many tokens came out of the layer."""
    seen: list[int] = []
    hook = layer.register_forward_hook(lambda *call: seen.append(call[-1].shape[1]))
    with torch.inference_mode():
        logits = model(**batch).logits
    hook.remove()
    return logits, seen


@pytest.mark.parametrize("architecture", KNOWN)
@pytest.mark.parametrize("padded", [True, False])
def test_one_token_gives_the_same_logits(tmp_path: Path, architecture: str, padded: bool) -> None:
    model = plain(tmp_path, architecture)
    last = (model.base_model.transformer if architecture == "distilbert" else model.base_model.encoder).layer[-1]
    batch = inputs() if padded else {name: tensor[:1] for name, tensor in inputs().items()}
    whole, before = widths(model, last, batch)
    assert first_token_only(model)
    found, after = widths(model, last, batch)
    assert (before, after) == ([12], [1])
    assert whole.std() > 1e-3
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", ["deberta-v2", "modernbert"])
def test_other_architectures_stay_as_they_are(tmp_path: Path, architecture: str) -> None:
    model = plain(tmp_path, architecture)
    whole = model(**inputs()).logits
    assert not first_token_only(model)
    torch.testing.assert_close(model(**inputs()).logits, whole, rtol=0, atol=0)


def test_another_attention_stays_as_it_is(tmp_path: Path) -> None:
    assert not first_token_only(plain(tmp_path, "bert", attn_implementation="eager"))
