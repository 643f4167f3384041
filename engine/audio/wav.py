"""Samples to the bytes of a wav file. Runs on the executor."""

from __future__ import annotations

import io
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Encoding: TypeAlias = Literal["pcm_16", "float"]

_SUBTYPES: Final = {"pcm_16": "PCM_16", "float": "FLOAT"}


def wav(samples: npt.NDArray[np.float32], rate: int, encoding: Encoding) -> bytes:
    """One channel of samples between -1 and 1, at ``rate`` a second: the same bytes whenever it is made.

    16 bits clip what is beyond them.
    """
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=_SUBTYPES[encoding])
    return _timeless(file.getvalue())


def _timeless(file: bytes) -> bytes:
    """The file without the time at which libsndfile measured the peak of floats, which its chunk PEAK would tell.

    Of four bytes each: "PEAK", size, version, seconds since 1970 (the chunk's layout in libsndfile's src/wav.c).
    """
    peak = file.find(b"PEAK", 0, file.index(b"data"))
    return file if peak < 0 else file[: peak + 12] + bytes(4) + file[peak + 16 :]
