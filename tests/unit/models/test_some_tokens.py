"""Logits of some tokens alone: the same numbers, and no others computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM

from engine.models.some_tokens import logits_of, pick_before_projection
from tests import tiny

IDS = torch.tensor([[2, 9, 4, 3, 0], [2, 4, 8, 4, 3]])
WANTED = (IDS == 4).nonzero(as_tuple=True)


@pytest.mark.parametrize(
    ("architecture", "picks"),
    [("bert", True), ("roberta", True), ("electra", True), ("modernbert", True), ("mobilebert", False)],
)
def test_they_are_those_of_all_tokens(tmp_path: Path, architecture: str, picks: bool) -> None:
    sizes = {"embedding_size": 16, "intra_bottleneck_size": 16} if architecture in ("mobilebert", "electra") else {}
    folder = tiny.save(tmp_path / "model", architecture, head="MaskedLM", **sizes)
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    inputs: dict[str, Any] = {"input_ids": IDS, "attention_mask": (IDS > 0).long()}
    with torch.inference_mode():
        before = model(**inputs).logits
        pick_before_projection(model)
        pick_before_projection(model)  # a second scorer of the same model
        assert len(model.get_output_embeddings()._forward_pre_hooks) == 1
        projected: list[int] = []
        model.get_output_embeddings().register_forward_hook(lambda _, __, output: projected.append(output.dim()))
        found = logits_of(model, inputs, WANTED)
        assert torch.equal(model(**inputs).logits, before)
    torch.testing.assert_close(found, before[WANTED], rtol=1e-5, atol=1e-5)
    assert found.shape == (3, before.shape[2])
    assert projected == ([2, 3] if picks else [])
