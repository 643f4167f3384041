"""Tiny random models that hear, with their feature extractors, and sounds for them: made in a moment, seeded."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tests import tiny

#: Samples a second of all models but CLAP's.
RATE: Final = 16_000
CLAP_RATE: Final = 48_000
#: Letters of CTC models, as their tokenizers have them.
LETTERS: Final = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]

_LAYERS: Final[dict[str, Any]] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
#: Convolutions like those of the real models, a fifth as deep: a frame is 80 samples, and 90 make the first.
_CONVOLUTIONS: Final[dict[str, Any]] = {
    **_LAYERS,
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 3, 8),
    "conv_stride": (5, 2, 8),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 16,
    "vocab_size": len(LETTERS),
}
#: Layer norm in the convolutions, as in the large models: these are trained with an attention mask.
LAYER_NORM: Final[dict[str, Any]] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}


def tone(seconds: float, *, seed: int, rate: int = RATE) -> npt.NDArray[np.float32]:
    """A sound of two drifting tones and some noise, float32 [samples]."""
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    low, high = draw.uniform(80, 400), draw.uniform(500, 3000)
    sound = 0.3 * np.sin(2 * np.pi * low * time) + 0.2 * np.sin(2 * np.pi * high * time * (1 + 0.1 * time))
    return np.asarray(sound + 0.05 * draw.standard_normal(time.size), np.float32)


def wav(samples: npt.NDArray[np.float32], rate: int = RATE) -> bytes:
    """A WAV file of one channel of float32, whose samples are read back as they are."""
    data = samples.astype("<f4").tobytes()
    form = struct.pack("<HHIIHH", 3, 1, rate, 4 * rate, 4, 32)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def save_encoder(
    folder: Path, architecture: str = "wav2vec2", *, head: str = "AudioClassification", seed: int = 0, **overrides: Any
) -> Path:
    """Saves a model that reads samples (wav2vec2, hubert, wavlm, …) with group norm, or with ``LAYER_NORM``."""
    from transformers import Wav2Vec2FeatureExtractor

    masked = overrides.get("feat_extract_norm") == "layer"
    features = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=masked)
    return _save(folder, architecture, head, features, seed, {**_CONVOLUTIONS, **overrides})


def save_bert(folder: Path, *, head: str = "AudioClassification", seed: int = 0, **overrides: Any) -> Path:
    """Saves a w2v-BERT, which reads log-mel frames."""
    from transformers import SeamlessM4TFeatureExtractor

    sizes = {**_LAYERS, "conv_depthwise_kernel_size": 5, "classifier_proj_size": 16, "vocab_size": len(LETTERS)}
    features = SeamlessM4TFeatureExtractor(padding_value=1.0)
    return _save(folder, "wav2vec2-bert", head, features, seed, {**sizes, **overrides})


def save_ast(folder: Path, *, frames: int = 64, seed: int = 0, **overrides: Any) -> Path:
    """Saves an AST of so many frames of 10 ms."""
    from transformers import ASTFeatureExtractor

    sizes = {**_LAYERS, "max_length": frames, "num_mel_bins": 32, "patch_size": 8, "time_stride": 8}
    features = ASTFeatureExtractor(num_mel_bins=32, max_length=frames)
    own = {**sizes, "frequency_stride": 8, **overrides}
    return _save(folder, "audio-spectrogram-transformer", "AudioClassification", features, seed, own)


def save_whisper_classifier(folder: Path, *, seconds: int = 1, seed: int = 0, **overrides: Any) -> Path:
    """Saves Whisper's encoder with a head, of so many seconds where the real one has 30."""
    from transformers import WhisperFeatureExtractor

    features = WhisperFeatureExtractor(feature_size=16, chunk_length=seconds)
    return _save(folder, "whisper", "AudioClassification", features, seed, {**_whisper(seconds), **overrides})


def save_whisper(folder: Path, *, seconds: int = 1, seed: int = 0) -> Path:
    """Saves a Whisper of so many seconds where the real one has 30, with a tokenizer of words instead of bytes."""
    from transformers import GenerationConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    sizes = {"decoder_layers": 1, "vocab_size": tiny.config("bert").vocab_size, "max_target_positions": 48}
    features = WhisperFeatureExtractor(feature_size=16, chunk_length=seconds)
    _save(folder, "whisper", "SpeechSeq2Seq", features, seed, {**_whisper(seconds), **sizes})
    model = WhisperForConditionalGeneration.from_pretrained(folder)
    model.generation_config = GenerationConfig(max_length=40, decoder_start_token_id=2, pad_token_id=0, eos_token_id=3)
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


def save_clap(folder: Path, *, fusion: bool = False, seconds: int = 1, seed: int = 0) -> Path:
    """Saves a CLAP of so many seconds where the real one has 10, at 48 kHz; with the fusion of longer sounds or not."""
    import torch
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    width = 128 if seconds > 1 else 64
    sound = {
        "spec_size": width,
        "num_mel_bins": 32,
        "window_size": 4,
        "patch_embeds_hidden_size": 16,
        "hidden_size": 32,
    }
    sound |= {"depths": [1, 1], "num_attention_heads": [2, 2], "enable_fusion": fusion, "num_hidden_layers": 2}
    text = {**_LAYERS, "vocab_size": tiny.config("bert").vocab_size, "max_position_embeddings": 66, "pad_token_id": 0}
    torch.manual_seed(seed)
    model = ClapModel(ClapConfig(text_config=text, audio_config=sound, projection_dim=16))
    _draw(model)
    truncation = "fusion" if fusion else "rand_trunc"
    features = ClapFeatureExtractor(feature_size=32, max_length_s=seconds, truncation=truncation)
    model.save_pretrained(folder)
    features.save_pretrained(folder)
    tiny.tokenizer(model_input_names=["input_ids", "attention_mask"]).save_pretrained(folder)
    return folder


def _whisper(seconds: int) -> dict[str, Any]:
    sizes = {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 48}
    sizes |= {"decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 48, "vocab_size": 64}
    sizes |= {"num_mel_bins": 16, "max_source_positions": 50 * seconds, "classifier_proj_size": 16}
    return sizes | {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 2}


def _save(folder: Path, architecture: str, head: str, features: Any, seed: int, sizes: dict[str, Any]) -> Path:
    import torch
    import transformers

    torch.manual_seed(seed)
    config = transformers.AutoConfig.for_model(architecture, **sizes)
    model = getattr(transformers, f"AutoModelFor{head}").from_config(config)
    _draw(model)
    model.save_pretrained(folder)
    features.save_pretrained(folder)
    return folder


def _draw(model: Any) -> None:
    """Draws weights wide enough for labels to differ from row to row."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if (parameter.dim() > 1 and "parametrizations" not in name) or name.endswith("bias"):
                parameter.normal_(0.0, 0.25)
