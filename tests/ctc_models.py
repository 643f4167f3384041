"""Tiny random CTC models of every kind, with a tokenizer of letters and the feature extractor of theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

LETTERS: Final = ("<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'")
_SIZES: Final = {
    "vocab_size": len(LETTERS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "pad_token_id": 0,
}
_SAMPLES: Final = {
    **_SIZES,
    "conv_dim": (16,) * 7,
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
    "conv_stride": (5, 2, 2, 2, 2, 2, 2),
    "num_feat_extract_layers": 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "do_stable_layer_norm": False,
}
_LAYER: Final = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
_OWN: Final[dict[str, dict[str, Any]]] = {
    "data2vec-audio": {"conv_pos_kernel_size": 5, "num_conv_pos_embeddings": 2},
    "sew": {"squeeze_factor": 2},
    "sew-d": {
        "squeeze_factor": 2,
        "pos_att_type": ("p2c", "c2p"),
        "max_position_embeddings": 64,
        "position_buckets": 16,
    },
    "wav2vec2-conformer": {"conv_depthwise_kernel_size": 5, **_LAYER},
    "unispeech": {"num_codevectors_per_group": 4, "codevector_dim": 8, "proj_codevector_dim": 8},
    "unispeech-sat": {"num_codevectors_per_group": 4, "codevector_dim": 8, "proj_codevector_dim": 8},
    "wavlm": {"num_buckets": 16, "max_bucket_distance": 40},
}


def config(kind: str, *, norm: str | None = None, **overrides: Any) -> Any:
    """A tiny configuration of a model type; norm is that of its convolutions: group, layer, or None for its own."""
    from transformers import AutoConfig

    if kind == "wav2vec2-bert":
        own: dict[str, Any] = {**_SIZES, "conv_depthwise_kernel_size": 5, "left_max_position_embeddings": 8}
        return AutoConfig.for_model(kind, **{**own, "right_max_position_embeddings": 4, **overrides})
    if kind == "parakeet_ctc":
        encoder = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
        encoder |= {"subsampling_conv_channels": 8, "conv_kernel_size": 5, "num_mel_bins": 80}
        return AutoConfig.for_model(kind, vocab_size=len(LETTERS), pad_token_id=0, encoder_config=encoder, **overrides)
    if kind == "lasr_ctc":
        encoder = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
        encoder |= {"subsampling_conv_channels": 8, "conv_kernel_size": 5, "num_mel_bins": 128}
        return AutoConfig.for_model(kind, vocab_size=len(LETTERS), pad_token_id=0, encoder_config=encoder, **overrides)
    chosen = {"layer": _LAYER, "group": {"feat_extract_norm": "group"}}.get(norm or "", {})
    return AutoConfig.for_model(kind, **{**_SAMPLES, **_OWN.get(kind, {}), **chosen, **overrides})


def save(folder: Path, kind: str = "wav2vec2", *, seed: int = 0, **overrides: Any) -> Path:
    """Saves a model, its tokenizer and its feature extractor; weights are drawn wide, so that letters differ."""
    import torch
    from transformers import AutoModelForCTC

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model = AutoModelForCTC.from_config(config(kind, **overrides))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "conv_layers" not in name:
                parameter.normal_(0.0, 0.25)
        head = model.lm_head if hasattr(model, "lm_head") else model.ctc_head
        head.bias[[0, 4]] += 1.5  # some blanks, some ends of words
    model.save_pretrained(folder)
    tokenizer(folder).save_pretrained(folder)
    features(kind).save_pretrained(folder)
    return folder


def tokenizer(folder: Path, **arguments: Any) -> Any:
    from transformers import Wav2Vec2CTCTokenizer

    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(LETTERS)}), encoding="utf-8")
    return Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), **arguments)


def features(kind: str) -> Any:
    import transformers

    own = {"wav2vec2-bert": "SeamlessM4T", "parakeet_ctc": "Parakeet", "lasr_ctc": "Lasr"}.get(kind, "Wav2Vec2")
    return getattr(transformers, f"{own}FeatureExtractor")()
