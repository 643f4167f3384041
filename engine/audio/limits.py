"""How much of a recording is read at most: counted while it is decoded, whatever its header says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one recording.

    Args:
        duration_s: seconds of audio.
        nbytes: bytes of a recording that lies in a column, as it is encoded.
        decoded_bytes: bytes of its samples in every channel as float32, before they are mixed and resampled.
    """

    duration_s: float
    nbytes: int
    decoded_bytes: int
