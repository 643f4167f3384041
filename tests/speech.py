"""Tiny random models that speak, of every family, saved as Hugging Face folders: made in a moment, offline, seeded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

_LETTERS: Final = "_abcdefghijklmnopqrstuvwxyz "
#: Stages of a vocoder: 16 samples a frame, as in _RATES.
_VOCODER: Final = {
    "upsample_initial_channel": 16,
    "upsample_rates": [4, 4],
    "upsample_kernel_sizes": [8, 8],
    "resblock_kernel_sizes": [3, 5],
    "resblock_dilation_sizes": [[1, 3], [1, 3]],
    "sampling_rate": 8000,
}


def tokenizer(folder: Path, **arguments: Any) -> Any:
    """A tokenizer of letters; others it leaves out."""
    from transformers import VitsTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(_LETTERS)}), encoding="utf-8")
    options = {"pad_token": "_", "unk_token": "_", "phonemize": False, **arguments}
    made = VitsTokenizer(str(folder / "vocab.json"), **options)
    made.save_pretrained(folder)
    return made


def save(folder: Path, *, seed: int = 0, noise: float = 0.0, **overrides: Any) -> Path:
    """Saves a VITS model; without ``noise`` a text always sounds the same. ``overrides`` go to its configuration."""
    import torch
    from transformers import VitsConfig, VitsModel

    tokenizer(folder)
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": len(_LETTERS),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "ffn_dim": 16,
        "flow_size": 16,
        "spectrogram_bins": 9,
        **_VOCODER,
        "prior_encoder_num_flows": 2,
        "prior_encoder_num_wavenet_layers": 2,
        "posterior_encoder_num_wavenet_layers": 1,
        "duration_predictor_filter_channels": 16,
        "duration_predictor_num_flows": 2,
        "depth_separable_num_layers": 2,
        "use_stochastic_duration_prediction": False,
        "noise_scale": noise,
        "noise_scale_duration": noise,
    }
    model = VitsModel(VitsConfig(**{**sizes, **overrides})).eval()
    widen(model)
    model.save_pretrained(folder)
    return folder


def save_fastspeech(folder: Path, *, seed: int = 0, **overrides: Any) -> Path:
    """Saves a FastSpeech2ConformerWithHifiGan; ``overrides`` go to the configuration of its model."""
    import torch
    from transformers import (
        FastSpeech2ConformerConfig,
        FastSpeech2ConformerHifiGanConfig,
        FastSpeech2ConformerWithHifiGan,
        FastSpeech2ConformerWithHifiGanConfig,
    )

    tokenizer(folder)
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": len(_LETTERS),
        "hidden_size": 16,
        "num_mel_bins": 8,
        "encoder_layers": 1,
        "encoder_num_attention_heads": 2,
        "encoder_linear_units": 16,
        "decoder_layers": 1,
        "decoder_num_attention_heads": 2,
        "decoder_linear_units": 16,
        "speech_decoder_postnet_layers": 2,
        "speech_decoder_postnet_units": 8,
        "duration_predictor_channels": 8,
        "energy_predictor_channels": 8,
        "pitch_predictor_channels": 8,
        "pitch_predictor_layers": 2,
    }
    model = FastSpeech2ConformerConfig(**{**sizes, **overrides})
    vocoder = FastSpeech2ConformerHifiGanConfig(model_in_dim=8, **_VOCODER)
    both = FastSpeech2ConformerWithHifiGanConfig(model_config=model.to_dict(), vocoder_config=vocoder.to_dict())
    made = FastSpeech2ConformerWithHifiGan(both).eval()
    widen(made)
    made.save_pretrained(folder)
    return folder


def save_speecht5(folder: Path, *, seed: int = 0, vocoder: bool = True, **overrides: Any) -> Path:
    """Saves a SpeechT5ForTextToSpeech, with its vocoder beside it; ``overrides`` go to its configuration."""
    import torch
    from transformers import SpeechT5Config, SpeechT5ForTextToSpeech, SpeechT5HifiGan, SpeechT5HifiGanConfig

    tokenizer(folder)
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": len(_LETTERS),
        "hidden_size": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 16,
        "decoder_layers": 1,
        "decoder_attention_heads": 2,
        "decoder_ffn_dim": 16,
        "num_mel_bins": 8,
        "speech_decoder_prenet_units": 16,
        "speech_decoder_postnet_units": 8,
        "speech_decoder_postnet_layers": 2,
        "speaker_embedding_dim": 4,
        "max_text_positions": 200,
        "pad_token_id": 0,
    }
    model = SpeechT5ForTextToSpeech(SpeechT5Config(**{**sizes, **overrides})).eval()
    widen(model)
    with torch.no_grad():
        model.speech_decoder_postnet.prob_out.bias.fill_(-1.8)  # it ends after some steps, not at once
    model.save_pretrained(folder)
    if vocoder:
        made = SpeechT5HifiGan(SpeechT5HifiGanConfig(model_in_dim=8, normalize_before=True, **_VOCODER)).eval()
        widen(made)
        made.save_pretrained(folder / "vocoder")
    return folder


def widen(model: Any) -> None:
    """Draws weights wide enough for sounds to differ from row to row."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.25)


def samples(audio: bytes) -> Any:
    """float32 [samples] of a wav file."""
    import io

    import soundfile

    return soundfile.read(io.BytesIO(audio), dtype="float32")[0]
