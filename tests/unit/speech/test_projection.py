"""The product with the vocabulary against torch's own."""

from __future__ import annotations

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
