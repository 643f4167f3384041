"""A vocoder's batches and pieces give what it gives for each spectrogram alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig, VitsConfig

from engine.voice.hifigan import HifiGan
from tests import speech

LENGTHS = [5, 40, 1, 23, 23, 90]


def vocoder(kernels: list[int]) -> Any:
    torch.manual_seed(1)
    config = SpeechT5HifiGanConfig(
        model_in_dim=6,
        upsample_initial_channel=8,
        upsample_rates=[4, 2],
        upsample_kernel_sizes=kernels,
        resblock_kernel_sizes=[3, 5],
        resblock_dilation_sizes=[[1, 3], [1, 2]],
    )
    made = SpeechT5HifiGan(config).eval()
    speech.widen(made)
    return made


@pytest.fixture
def spectrograms() -> Any:
    torch.manual_seed(2)
    return torch.randn(len(LENGTHS), 6, max(LENGTHS))  # loud behind the ends too


def rendered(made: Any) -> Callable[[Any], Any]:
    return lambda frames: made(frames.transpose(1, 2))


@pytest.mark.parametrize("kernels", [[8, 4], [6, 2], [7, 4]])
@pytest.mark.parametrize("frames", [1, 60, 10**6])
@pytest.mark.parametrize("piece", [1024, 16])
def test_a_row_sounds_as_alone(
    kernels: list[int], frames: int, piece: int, spectrograms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.voice.hifigan.PIECE", piece)
    made = vocoder(kernels)
    with torch.inference_mode():
        alone = [made(one[:, :length].T).numpy() for one, length in zip(spectrograms, LENGTHS, strict=True)]
        found = HifiGan(rendered(made), made.config, frames).waveforms(spectrograms, LENGTHS)
    for one, whole, length in zip(found, alone, LENGTHS, strict=True):
        assert one.size == length * 8
        np.testing.assert_allclose(one, whole[: length * 8], atol=1e-5)


def test_batches_of_transformers_let_padding_sound(spectrograms: Any) -> None:
    """What the silence is for: without it the end of a short row is another one."""
    made = vocoder([8, 4])
    with torch.inference_mode():
        batch = torch.zeros_like(spectrograms[:2])
        batch[0, :, :5], batch[1] = spectrograms[0, :, :5], spectrograms[1]
        together, alone = made(batch.transpose(1, 2))[0, :40], made(spectrograms[0, :, :5].T)
    assert (together - alone).abs().max() > 1e-3


def test_batches_hold_as_many_frames_as_they_may(spectrograms: Any) -> None:
    seen: list[tuple[int, ...]] = []
    made = vocoder([8, 4])

    def render(frames: Any) -> Any:
        seen.append(tuple(frames.shape))
        return made(frames.transpose(1, 2))

    with torch.inference_mode():
        HifiGan(render, made.config, 80).waveforms(spectrograms, LENGTHS)
    assert seen == [(1, 6, 90), (2, 6, 40), (3, 6, 23)]


def test_how_far_a_sample_hears_by_hand() -> None:
    config = VitsConfig(
        upsample_rates=[4, 2],
        upsample_kernel_sizes=[8, 4],
        resblock_kernel_sizes=[3, 5],
        resblock_dilation_sizes=[[1, 3], [1]],
    )
    # conv_pre 3; 8 / 4; of the blocks max((1 + 1) + (3 + 1), 2 + 2) / 4; 4 / 2 / 4; 6 / 8; conv_post 3 / 8
    assert HifiGan(lambda one: one, config, 1).context == int(np.ceil(3 + 2 + 6 / 4 + 0.5 + 6 / 8 + 3 / 8)) + 1
