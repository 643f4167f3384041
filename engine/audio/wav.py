"""Samples to the bytes of a wav file. Runs on the executor."""

from __future__ import annotations

import io
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Encoding: TypeAlias = Literal["pcm_16", "float"]

_SUBTYPES: Final = {"pcm_16": "PCM_16", "float": "FLOAT"}


def wav(samples: npt.NDArray[np.float32], rate: int, encoding: Encoding) -> bytes:
    """One channel of samples between -1 and 1, at ``rate`` a second. 16 bits clip what is beyond them."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=_SUBTYPES[encoding])
    return file.getvalue()
