"""What extractors and encoders take, against what transformers makes of that length and of one sample less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import (
    ASTFeatureExtractor,
    AutoConfig,
    ClapFeatureExtractor,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from engine.audio.features import longest, shortest, takes_padding
from tests import audio_models


def config(architecture: str, **own: Any) -> Any:
    return AutoConfig.for_model(architecture, **own)


def test_extractors_of_a_fixed_length_say_it() -> None:
    assert longest(WhisperFeatureExtractor()) == 480_000
    assert longest(ClapFeatureExtractor()) == 480_000
    assert longest(ASTFeatureExtractor(num_mel_bins=32)) == 1023 * 160 + 400
    assert longest(Wav2Vec2FeatureExtractor()) is None
    assert longest(SeamlessM4TFeatureExtractor()) is None


def test_frames_that_ast_cuts_off_hang_on_no_sample_that_it_hears() -> None:
    import numpy as np

    features = ASTFeatureExtractor(num_mel_bins=32, max_length=20)
    sound, heard = audio_models.tone(1.0, seed=1), longest(features)
    assert heard == 19 * 160 + 400
    whole, cut, less = (
        features(sound[:samples], sampling_rate=16_000)["input_values"][0] for samples in (None, heard, heard - 1)
    )
    assert np.array_equal(whole, cut)
    assert not np.array_equal(whole, less)


@pytest.mark.parametrize(
    ("config", "features", "samples"),
    [
        (config("wav2vec2"), Wav2Vec2FeatureExtractor(), 400),
        (config("sew"), Wav2Vec2FeatureExtractor(), 720),
        (config("whisper"), WhisperFeatureExtractor(), 1),
        (config("clap"), ClapFeatureExtractor(), 1),
        (config("audio-spectrogram-transformer"), ASTFeatureExtractor(num_mel_bins=32), 400),
        (config("wav2vec2-bert"), SeamlessM4TFeatureExtractor(), 560),
    ],
)
def test_the_least_that_a_model_hears(config: Any, features: Any, samples: int) -> None:
    assert shortest(config, features) == samples


def test_below_the_least_transformers_raises(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForAudioClassification

    model = AutoModelForAudioClassification.from_pretrained(audio_models.save_encoder(tmp_path / "model"))
    least = shortest(model.config, Wav2Vec2FeatureExtractor())
    assert least == 90
    assert torch.isfinite(model(torch.ones(1, least)).logits).all()
    with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input size"):
        model(torch.ones(1, least - 1))


@pytest.mark.parametrize(
    ("config", "takes"),
    [
        *((config(name), True) for name in ("wav2vec2", "hubert", "wavlm", "unispeech", "wav2vec2-bert")),
        (config("wav2vec2", feat_extract_norm="layer"), True),
        (config("wav2vec2", add_adapter=True), False),
        (config("hubert", conv_pos_batch_norm=True), False),
        (config("wav2vec2-bert", position_embeddings_type="rotary"), False),
        (config("wav2vec2-bert", add_adapter=True), False),
        *((config(name), False) for name in ("data2vec-audio", "sew", "wav2vec2-conformer", "whisper", "clap")),
    ],
)
def test_which_encoders_take_padding(config: Any, takes: bool) -> None:
    assert takes_padding(config) == takes
