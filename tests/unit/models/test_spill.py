"""Where tensors lie that are made anew while a model is loaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from engine.models.spill import LARGE, spilled
from tests import tiny


def lies_in(tensor: Any) -> str:
    """The file that is mapped where a tensor lies; empty for memory of this process's own. Linux only."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        region, *_ = fields = line.split(maxsplit=5)
        start, end = (int(one, 16) for one in region.split("-"))
        if start <= tensor.data_ptr() < end:
            return fields[5] if len(fields) > 5 else ""
    raise AssertionError("no such address")


def test_large_tensors_that_are_cast_lie_on_the_disk(tmp_path: Path) -> None:
    drawn = torch.randn(LARGE // 2, dtype=torch.float32)
    with spilled(tmp_path):
        cast, small, joined = drawn.to(torch.bfloat16), drawn[:1000].to(torch.bfloat16), torch.cat([drawn, drawn])
    assert lies_in(cast).startswith(f"{tmp_path}/.spilled-")
    assert lies_in(cast).endswith("(deleted)")
    assert lies_in(joined).startswith(str(tmp_path))
    assert str(tmp_path) not in lies_in(small) + lies_in(drawn)
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(cast, drawn.to(torch.bfloat16))
    assert torch.equal(joined, torch.cat([drawn, drawn]))
    assert str(tmp_path) not in lies_in(drawn.to(torch.bfloat16))  # outside of the block


@pytest.mark.parametrize("before", [None, "0"])
def test_a_model_that_is_cast_on_loading_takes_no_memory(
    tmp_path: Path, before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_DEACTIVATE_ASYNC_LOAD", raising=False)
    if before is not None:
        monkeypatch.setenv("HF_DEACTIVATE_ASYNC_LOAD", before)
    folder = tiny.save(tmp_path / "model", hidden_size=512, num_hidden_layers=2, intermediate_size=2048, num_labels=2)
    plain = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16)
    with spilled(tmp_path):
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16)
    assert os.environ.get("HF_DEACTIVATE_ASYNC_LOAD") == before
    large = {name for name, one in model.named_parameters() if one.nbytes >= LARGE}
    assert len(large) >= 4
    for name, parameter in model.named_parameters():
        assert lies_in(parameter).startswith(str(tmp_path)) is (name in large)
        assert torch.equal(parameter, plain.get_parameter(name))
