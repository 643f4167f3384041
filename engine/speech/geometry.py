"""How models of connectionist temporal classification turn samples into frames, each of which names a letter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.audio.features import receptive_field, shortest, takes_padding
from engine.errors import UnsupportedTaskError


@dataclass(frozen=True)
class Geometry:
    """Of one model.

    Args:
        ratio: samples from one frame to the next.
        least: samples below which a recording has no frame.
        padded: whether windows of different lengths may share a batch without a number moving.
        convolutions: kernel and stride of each convolution between what the model is given and its frames.
    """

    ratio: int
    least: int
    padded: bool
    convolutions: tuple[tuple[int, int], ...] = ()

    def frames(self, length: int) -> int:
        """Frames of so many samples (of features, where the model is given those)."""
        for kernel, stride in self.convolutions:
            length = (length - kernel) // stride + 1
        return length


def geometry(model: Any, features: Any) -> Geometry:
    """The geometry of a loaded model with its feature extractor. Raises UnsupportedTaskError for one not known."""
    config = model.config
    kind = config.model_type
    adapted = bool(getattr(config, "add_adapter", False))
    padded = takes_padding(config)
    if model.main_input_name == "input_values":
        convolutions = tuple(zip(config.conv_kernel, config.conv_stride, strict=True))
        ratio = config.inputs_to_logits_ratio * (config.adapter_stride**config.num_adapter_layers if adapted else 1)
        return Geometry(ratio, shortest(config, features), padded, convolutions)
    if kind == "wav2vec2-bert":
        return Geometry(config.inputs_to_logits_ratio, shortest(config, features), padded)
    if kind == "parakeet_ctc":
        return Geometry(features.hop_length * config.encoder_config.subsampling_factor, 2 * features.hop_length, False)
    if kind == "lasr_ctc":
        kernel, stride = (
            config.encoder_config.subsampling_conv_kernel_size,
            config.encoder_config.subsampling_conv_stride,
        )
        rows = receptive_field(((kernel, stride), (kernel, stride)), 1)
        least = features.win_length + (rows - 1) * features.hop_length
        return Geometry(features.hop_length * config.inputs_to_logits_ratio, least, False)
    raise UnsupportedTaskError(
        f"expected a CTC model of samples (wav2vec2 and its kin), or wav2vec2-bert, parakeet_ctc or "
        f"lasr_ctc; got {kind}: run it through mlflow.pyfunc.spark_udf"
    )
