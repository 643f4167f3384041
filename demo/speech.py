"""Text → speech by espeak-ng, for recordings whose text is known: of the demonstration, the tests and the benchmarks."""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

# Of espeak-ng's speak_lib.h.
_SYNCHRONOUS: Final = 2
_DONT_EXIT: Final = 0x8000
_RATE: Final = 1
_CHARACTERS: Final = 1
_UTF8: Final = 1
_CALLBACK: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

#: One text at a time: the library has one state for its process.
_lock: Final = threading.Lock()


def say(text: str, *, rate_wpm: int = 150, voice: str = "en-us") -> tuple[npt.NDArray[np.float32], int]:
    """What the text sounds like: samples in [-1, 1], float32 [samples] of one channel, and how many there are a second.

    Equal arguments give equal samples.

    Args:
        text: of any length.
        rate_wpm: words a minute, from 80 to 450.
        voice: a name that espeak-ng knows, as en-us, en-gb or de.

    Raises FileNotFoundError where the package espeakng-loader is not installed, ValueError for a voice or rate that
    espeak-ng does not have.
    """
    if not 80 <= rate_wpm <= 450:
        raise ValueError(f"expected a rate of 80 to 450 words a minute, got {rate_wpm}")
    with _lock:
        library, rate = _library()
        if library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"expected a voice that espeak-ng has, as en-us or en-gb, got {voice}")
        library.espeak_SetParameter(_RATE, rate_wpm, 0)
        return _synthesized(library, text.encode()), rate


def _synthesized(library: Any, text: bytes) -> npt.NDArray[np.float32]:
    blocks: list[npt.NDArray[np.int16]] = []

    def collect(samples: Any, count: int, events: Any) -> int:
        if samples and count:
            blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    callback = _CALLBACK(collect)  # held until the text is spoken
    library.espeak_SetSynthCallback(callback)
    size = ctypes.c_size_t(len(text) + 1)
    if library.espeak_Synth(text, size, 0, _CHARACTERS, 0, _UTF8, None, None):
        raise RuntimeError("espeak-ng could not speak the text")
    return np.concatenate([np.zeros(0, np.int16), *blocks]).astype(np.float32) / 32768


@cache
def _library() -> tuple[Any, int]:
    """The library, initialized for this process, and its samples a second."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise FileNotFoundError("expected the package espeakng-loader: run `uv sync`, or install embercast[demo]") from error
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_SetSynthCallback.argtypes = [_CALLBACK]
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _DONT_EXIT)
    if rate <= 0:
        raise RuntimeError("espeak-ng could not start with the voices of espeakng-loader")
    return library, rate
