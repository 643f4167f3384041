"""What transformers' feature extractors and encoders of sound take: how much, how little, and whether padded.

Numbers are those of the extractors' own code (transformers 5); nothing here imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

#: Encoders that mask padding wherever a position hears others. Of those left out, Data2Vec's, SEW's and the Conformer's
#: convolve over what padding became in the layers before.
_MASKED: Final = frozenset({"wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat"})


def longest(features: Any) -> int | None:
    """Samples that an extractor of a fixed length hears: it pads what is shorter itself. None for one of any length."""
    kind = type(features).__name__
    if kind == "WhisperFeatureExtractor":
        return int(features.n_samples)
    if kind == "ClapFeatureExtractor":
        return int(features.nb_max_samples)
    if kind == "ASTFeatureExtractor":
        return _frames(features, int(features.max_length))
    return None


def shortest(config: Any, features: Any) -> int:
    """Samples of which an extractor and the model behind it make anything: below them transformers raises or gives NaN.

    The receptive field of an encoder that reads samples, one frame of AST's; two of w2v-BERT's, which divides by their
    variance.
    """
    samples = 1
    if hasattr(config, "conv_kernel") and hasattr(config, "conv_stride"):
        squeezed = int(getattr(config, "squeeze_factor", 1))  # frames that SEW makes one of
        samples = receptive_field(list(zip(config.conv_kernel, config.conv_stride, strict=True)), squeezed)
    frames = {"ASTFeatureExtractor": 1, "SeamlessM4TFeatureExtractor": 2}.get(type(features).__name__)
    return _frames(features, frames) if frames else samples


def receptive_field(convolutions: Sequence[tuple[int, int]], frames: int) -> int:
    """What so many frames need of the input of convolutions, given as kernel and stride."""
    for kernel, stride in reversed(convolutions):
        frames = (frames - 1) * stride + kernel
    return frames


def takes_padding(config: Any) -> bool:
    """Whether a recording padded beside longer ones gives, in exact arithmetic, what it gives alone.

    Where a mask is given, and the convolutions over samples hear each by itself (``engine.speech.convolutions``).
    """
    if getattr(config, "add_adapter", False) or getattr(config, "conv_pos_batch_norm", False):
        return False
    if config.model_type == "wav2vec2-bert":
        return bool(config.position_embeddings_type == "relative_key")
    return config.model_type in _MASKED


def _frames(features: Any, count: int) -> int:
    """Samples of so many frames of 25 ms, 10 ms apart."""
    rate = int(features.sampling_rate)
    return (count - 1) * (rate // 100) + rate // 40
