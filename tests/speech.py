"""A tiny random text-to-speech model, for a pipeline that no task of the engine stands for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

_LETTERS: Final = "_abcdefghijklmnopqrstuvwxyz "


def save(folder: Path, *, seed: int = 0) -> Path:
    """Saves a VITS model without noise, so that a text always sounds the same, and its tokenizer of letters."""
    import torch
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(_LETTERS)}), encoding="utf-8")
    tokenizer = VitsTokenizer(str(folder / "vocab.json"), pad_token="_", unk_token="_", phonemize=False)
    torch.manual_seed(seed)
    config = VitsConfig(
        vocab_size=len(_LETTERS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=16,
        flow_size=16,
        spectrogram_bins=9,
        upsample_initial_channel=16,
        upsample_rates=[4, 4],
        upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1]],
        prior_encoder_num_flows=1,
        prior_encoder_num_wavenet_layers=1,
        posterior_encoder_num_wavenet_layers=1,
        duration_predictor_filter_channels=16,
        use_stochastic_duration_prediction=False,
        noise_scale=0.0,
        noise_scale_duration=0.0,
        sampling_rate=8000,
    )
    VitsModel(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
