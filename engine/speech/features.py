"""Samples → log-mel features, as transformers' WhisperFeatureExtractor makes them: of a whole, or block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.audio.stream import Samples

#: float32 [mels, frames]
Mels: TypeAlias = npt.NDArray[np.float32]


class LogMel:
    """What a feature extractor of Whisper computes. Lives in a worker; its methods run in reader threads.

    The extractor's ``dither`` is left out: it adds chance to what is heard.

    Attributes:
        frames: of a segment: what the model hears at once.
        hop: samples from frame to frame.
        samples: of a segment.
        rate: samples a second.
    """

    def __init__(self, extractor: Any) -> None:
        import torch

        self.frames: int = extractor.nb_max_frames
        self.hop: int = extractor.hop_length
        self.samples: int = extractor.n_samples
        self.rate: int = extractor.sampling_rate
        self.mels: int = extractor.feature_size
        self._fft: int = extractor.n_fft
        self._silence = np.float32(extractor.padding_value)
        self._window = torch.hann_window(self._fft)
        self._filters = torch.from_numpy(np.ascontiguousarray(extractor.mel_filters.T, np.float32))

    @property
    def frame_s(self) -> float:
        """Seconds from frame to frame."""
        return self.hop / self.rate

    def segment(self, samples: Samples) -> Mels:
        """Log-power float32 [mels, frames] of at most a segment's samples, behind which silence follows."""
        padded = np.full(self.samples, self._silence, np.float32)
        padded[: samples.size] = samples
        return self._log_power(np.pad(padded, self._fft // 2, mode="reflect"))[:, : self.frames]

    def blocks(self, samples: Iterable[Samples]) -> Iterator[Mels]:
        """Log-power float32 [mels, frames] of a recording that comes in blocks: the same as of all samples at once.

        As many frames in all as hops fit in its samples; none for a recording of at most half a window of the Fourier
        transform, which can't be mirrored at its ends.
        """
        half, held, mirrored = self._fft // 2, np.zeros(0, np.float32), False
        for block in samples:
            held = np.concatenate([held, block])
            if not mirrored and held.size > half:
                held, mirrored = np.concatenate([held[half:0:-1], held]), True
            if mirrored and (ready := self._ready(held)):
                yield self._log_power(held)[:, :ready]
                held = held[ready * self.hop :]
        if mirrored:
            held = np.concatenate([held, held[-2 : -half - 2 : -1]])
            if ready := self._ready(held):
                yield self._log_power(held)[:, :ready]

    def _ready(self, held: Samples) -> int:
        # One frame less than fits: at the end it is the one that Whisper drops, before it what the mirror needs.
        return (held.size - self._fft) // self.hop

    def _log_power(self, padded: Samples) -> Mels:
        import torch

        waves = torch.from_numpy(padded)
        spectrum = torch.stft(
            waves, self._fft, self.hop, window=self._window, center=False, return_complex=True
        )  # the same transform that the extractor uses: another one differs by more than 1e-5 in quiet bands
        power = self._filters @ spectrum.abs().square()
        return np.asarray(power.clamp(min=1e-10).log10().numpy())


def levels(power: Mels) -> npt.NDArray[np.float32]:
    """How loud each frame is: float32 [frames], the mean power of its bands, as a logarithm (10) as these are."""
    return np.asarray(np.log10(np.power(np.float32(10), power).mean(axis=0)))


def scaled(power: Mels, loudest: float) -> Mels:
    """Features of log-power: what is more than 80 dB below ``loudest`` is cut off, the rest lies around 0."""
    return np.asarray((np.maximum(power, np.float32(loudest) - np.float32(8.0)) + np.float32(4.0)) / np.float32(4.0))
