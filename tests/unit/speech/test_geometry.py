"""Samples of a frame, and of the least recording, against the models themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import UnsupportedTaskError
from engine.speech.geometry import geometry
from tests import ctc_models

KINDS = ["wav2vec2", "sew", "sew-d", "wav2vec2-bert", "parakeet_ctc", "lasr_ctc"]


def made(kind: str, **overrides: Any) -> tuple[Any, Any]:
    from transformers import AutoModelForCTC

    return AutoModelForCTC.from_config(ctc_models.config(kind, **overrides)).eval(), ctc_models.features(kind)


def frames(model: Any, features: Any, samples: int) -> int:
    import torch

    clip = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    inputs = features(clip, sampling_rate=16_000, return_tensors="pt", return_attention_mask=True)
    with torch.inference_mode():
        logits = model(**inputs).logits
    assert torch.isfinite(logits).all()
    return int(logits.shape[1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_least_recording_has_a_frame_and_ratio_samples_more_have_one_more(kind: str) -> None:
    model, features = made(kind)
    found = geometry(model, features)
    assert frames(model, features, found.least) >= 1
    seconds = [frames(model, features, 16_000 + more * found.ratio) for more in (0, 1, 10)]
    assert seconds == [seconds[0], seconds[0] + 1, seconds[0] + 10]
    if found.convolutions:
        assert found.frames(16_000) == seconds[0]
    if kind != "parakeet_ctc":  # of which one frame too few is no error, but no number either
        with pytest.raises((RuntimeError, RuntimeWarning, AssertionError, ValueError)):
            frames(model, features, found.least - 1)


@pytest.mark.parametrize(
    ("kind", "overrides", "padded"),
    [
        ("wav2vec2", {}, True),
        ("wav2vec2", {"add_adapter": True}, False),
        ("hubert", {"conv_pos_batch_norm": True}, False),
        ("data2vec-audio", {}, False),
        ("wav2vec2-bert", {"add_adapter": True}, False),
        ("wav2vec2-bert", {"position_embeddings_type": "rotary"}, False),
    ],
)
def test_lengths_are_mixed_where_padding_moves_no_number(kind: str, overrides: dict[str, Any], padded: bool) -> None:
    assert geometry(*made(kind, **overrides)).padded is padded


def test_an_adapter_makes_frames_longer(tmp_path: Path) -> None:
    model, features = made("wav2vec2", add_adapter=True, num_adapter_layers=2, adapter_stride=2)
    assert geometry(model, features).ratio == 1280
    assert frames(model, features, 16_000 + 12_800) == frames(model, features, 16_000) + 10


def test_another_model_is_refused() -> None:
    from types import SimpleNamespace

    other = SimpleNamespace(config=SimpleNamespace(model_type="granite_speech5_ctc"), main_input_name="input_features")
    with pytest.raises(UnsupportedTaskError, match="got granite_speech5_ctc"):
        geometry(other, None)
