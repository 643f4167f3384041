"""What a decoder gives, and what a model hears of it: one channel at one rate, held to the limits."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.audio.limits import Limits
from engine.audio.stream import Samples
from engine.errors import RowError

#: Samples a second, and channels, beyond which a header is not believed: nothing is allocated for it.
RATES: Final = (100, 1_000_000)
CHANNELS: Final = 256

_BLOCK_SECONDS: Final = 10
_BLOCK_BYTES: Final = 4 << 20


@dataclass(frozen=True)
class Sound:
    """Samples as they are decoded.

    Args:
        rate: samples a second.
        channels: of each sample.
        blocks: float32 [samples, channels], some seconds each.
        promised_s: seconds that a header says, where a recording that holds fewer is broken off; None where it says
            none, or only about.

    Raises RowError(invalid_audio) for a rate or channels that no recording has.
    """

    rate: float
    channels: int
    blocks: Iterator[Samples]
    promised_s: float | None = None

    def __post_init__(self) -> None:
        least, most = RATES
        if not least <= self.rate <= most:
            raise RowError("invalid_audio", f"expected a sampling rate of {least} to {most} Hz, got {self.rate:g}")
        if not 1 <= self.channels <= CHANNELS:
            raise RowError("invalid_audio", f"expected 1 to {CHANNELS} channels, got {self.channels}")


def block_samples(rate: float, channels: int) -> int:
    """How many samples a block holds: some seconds and some MiB at most, and one at least."""
    return max(1, min(int(_BLOCK_SECONDS * rate), _BLOCK_BYTES // (4 * max(1, channels))))


def heard(sound: Sound, rate: int, channel: int | None, limits: Limits) -> Generator[Samples]:
    """Blocks of one channel at ``rate``, float32 [samples]: the mean of all channels, or ``channel``.

    Resampled by soxr (quality HQ) as a stream, which gives what it gives of the whole at once. Raises RowError for a
    channel that there is none of, for samples that are no numbers, for a recording that ends before its header says,
    and where a limit is passed: seconds and bytes are counted as they are decoded.
    """
    if channel is not None and channel >= sound.channels:
        raise RowError("invalid_audio", f"expected channel {channel}, the recording has {sound.channels}, from 0")
    if sound.promised_s is not None:
        _check_seconds(sound.promised_s, limits)  # a long one is refused before it is decoded
    resample = _resampler(sound.rate, rate)
    samples = 0
    for block in sound.blocks:
        samples += len(block)
        _check_seconds(samples / sound.rate, limits)
        if samples * sound.channels * 4 > limits.decoded_bytes:
            raise RowError(
                "too_large", f"expected at most {limits.decoded_bytes} decoded bytes: raise max_decoded_bytes"
            )
        one = _one_channel(block, channel)
        if not np.isfinite(one).all():
            raise RowError("invalid_audio", "expected samples that are numbers, got NaN or Inf")
        yield resample(one, False)
    if sound.promised_s is not None and samples / sound.rate < sound.promised_s:
        raise RowError(
            "invalid_audio",
            f"expected {sound.promised_s:.3f} s by its header, it breaks off after {samples / sound.rate:.3f} s",
        )
    yield resample(np.zeros(0, np.float32), True)


def _check_seconds(seconds: float, limits: Limits) -> None:
    if seconds > limits.duration_s:
        raise RowError("too_long", f"expected at most {limits.duration_s:g} s of audio: raise max_duration_s")


def _one_channel(block: Samples, channel: int | None) -> Samples:
    if block.shape[1] == 1 or channel is not None:
        return np.ascontiguousarray(block[:, channel or 0])
    mixed: Samples = block.mean(axis=1, dtype=np.float32)
    return mixed


def _resampler(source: float, target: int) -> Callable[[Samples, bool], Samples]:
    if source == target:
        return lambda block, last: block
    import soxr

    return soxr.ResampleStream(source, target, 1, dtype="float32", quality="HQ").resample_chunk  # type: ignore[no-any-return]
