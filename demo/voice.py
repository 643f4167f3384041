"""``python voice.py LIBRARY DATA VOICE RATE``: speaks what comes in and ends; ``demo.speech`` starts it.

A process for each text: espeak-ng keeps a state from text to text, by which the same words sound differently. It
writes the samples a second (int32), then the samples (int16, one channel). It imports the standard library alone, to
start fast.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from typing import Any, Final

NO_VOICE: Final = 3

# Of espeak-ng's speak_lib.h.
_SYNCHRONOUS: Final = 2
_DONT_EXIT: Final = 0x8000
_RATE: Final = 1
_CHARACTERS: Final = 1
_UTF8: Final = 1
_CALLBACK: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def main(path: str, data: str, voice: str, rate: str) -> int:
    """Speaks standard input to standard output. Returns the exit code: 0, ``NO_VOICE``, or 1 where espeak-ng failed."""
    library = ctypes.CDLL(path)
    library.espeak_SetSynthCallback.argtypes = [_CALLBACK]
    sampling_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _DONT_EXIT)
    if sampling_rate <= 0:
        return 1
    if library.espeak_SetVoiceByName(voice.encode()):
        return NO_VOICE
    library.espeak_SetParameter(_RATE, int(rate), 0)
    sys.stdout.buffer.write(struct.pack("<i", sampling_rate))

    @_CALLBACK
    def write(samples: Any, count: int, events: Any) -> int:
        if samples and count:
            sys.stdout.buffer.write(ctypes.string_at(samples, 2 * count))
        return 0

    library.espeak_SetSynthCallback(write)
    text = sys.stdin.buffer.read()
    size = ctypes.c_size_t(len(text) + 1)
    return int(library.espeak_Synth(text, size, 0, _CHARACTERS, 0, _UTF8, None, None) != 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
