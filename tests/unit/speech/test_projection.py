"""The product with the vocabulary against torch's own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from engine.speech.projection import projection


@pytest.mark.parametrize("rows", [1, 3, 8, 33])
def test_logits_are_the_layers_own(rows: int) -> None:
    torch.manual_seed(rows)
    linear = torch.nn.Linear(48, 1001, bias=False)
    hidden = torch.randn(rows, 2, 48)[:, -1]  # strided, as the last of several tokens is
    with torch.inference_mode():
        found = projection(linear)(hidden)
        torch.testing.assert_close(found, linear(hidden), rtol=1e-5, atol=1e-5)
        assert found.shape == (rows, 1001)
        found.fill_(0.0)  # what is written into logits stays there
        assert projection(linear)(hidden).abs().sum() > 0


def test_other_dtypes_and_layers_are_left_as_they_are() -> None:
    for layer in (torch.nn.Linear(4, 9, bias=False).bfloat16(), torch.nn.Linear(4, 9)):
        assert projection(layer) is layer


@pytest.mark.parametrize("missing", ["_reorder_linear_weight", "_linear_pointwise"])
def test_a_torch_without_the_operators_takes_its_own_product_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, missing: str
) -> None:
    """Another torch may lack an operator, or take other arguments."""
    known = torch.ops.mkldnn
    kept = {"_reorder_linear_weight": known._reorder_linear_weight, "_linear_pointwise": known._linear_pointwise}
    layer = torch.nn.Linear(4, 9, bias=False)
    for others in ({}, {missing: lambda only: only}):
        operators = SimpleNamespace(**{**{k: v for k, v in kept.items() if k != missing}, **others})
        monkeypatch.setattr(torch.ops, "mkldnn", operators)
        caplog.clear()
        assert projection(layer) is layer
        assert "has no oneDNN product as expected" in caplog.text
