"""Text → speech by espeak-ng, for recordings whose text is known: in the demonstration, tests and benchmarks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from demo import voice as speaker


def say(text: str, *, rate_wpm: int = 150, voice: str = "en-us") -> tuple[npt.NDArray[np.float32], int]:
    """What the text sounds like: samples in [-1, 1], float32 [samples] of one channel, and how many there are a second.

    Equal arguments give equal samples. Each call starts a process, which takes a tenth of a second.

    Args:
        text: of any length.
        rate_wpm: words a minute, from 80 to 450.
        voice: a name that espeak-ng knows, as en-us, en (British) or de.

    Raises FileNotFoundError where the package espeakng-loader is not installed, ValueError for a voice or rate that
    espeak-ng does not have.
    """
    if not 80 <= rate_wpm <= 450:
        raise ValueError(f"expected a rate of 80 to 450 words a minute, got {rate_wpm}")
    command = [sys.executable, "-I", str(Path(speaker.__file__)), *_package(), voice, str(rate_wpm)]
    spoken = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    if spoken.returncode == speaker.NO_VOICE:
        raise ValueError(f"expected a voice that espeak-ng has, as en-us or en, got {voice}")
    if spoken.returncode:
        raise RuntimeError(f"espeak-ng failed with code {spoken.returncode}: {spoken.stderr.decode(errors='replace')}")
    rate = np.frombuffer(spoken.stdout, "<i4", count=1)[0]
    return np.frombuffer(spoken.stdout, "<i2", offset=4).astype(np.float32) / 32768, int(rate)


def _package() -> tuple[str, str]:
    """The library and the folder of its voices."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise FileNotFoundError(
            "expected the package espeakng-loader: run `uv sync`, or install embercast[demo]"
        ) from error
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
