"""Files to samples: by libsndfile where it knows the format, by FFmpeg otherwise; told by content, never by a name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

import numpy as np

from engine.audio.sound import Sound, block_samples
from engine.audio.stream import Samples
from engine.audio.watched import Watched
from engine.audio.whole import check_whole, tells_length
from engine.errors import RowError

#: What is left to libsndfile; rarer formats that it takes for known are left to FFmpeg.
_FORMATS: Final = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3"})

#: MP3 files say how many frames they have, and encoders differ in what of the first and last is padding.
_MP3_SLACK_S: Final = 0.25


@contextmanager
def decoded(file: BinaryIO) -> Iterator[Sound]:
    """The samples of a file, decoded as they are asked for. Runs in a reader thread.

    Raises RowError: invalid_audio for a file that is no recording, or a broken one; unreadable where reading fails.
    """
    watched = Watched(file)
    if not watched.size:
        raise RowError("invalid_audio", "expected a recording, the file is empty")
    check_whole(watched)
    known = _open(watched)
    if known is None:
        from engine.audio.container import contained

        watched.seek(0)
        with contained(watched) as sound:
            yield sound
        return
    with known:
        promised = _promised_s(known, watched)
        yield Sound(known.samplerate, known.channels, _blocks(known, watched), promised)


def _promised_s(known: Any, file: Watched) -> float | None:
    """Seconds that a recording must have by its header. Of other formats libsndfile tells what is there, or guesses."""
    seconds = float(known.frames / known.samplerate)
    if known.format == "FLAC" and known.frames < 1 << 40:  # more stands for an unknown number
        return seconds
    return seconds - _MP3_SLACK_S if known.format == "MP3" else None


def _open(file: Watched) -> Any:
    """The file as libsndfile reads it; None where it can't, or not to the end."""
    import soundfile

    try:
        known = soundfile.SoundFile(file)
    except soundfile.LibsndfileError:
        file.check()
        return None
    # Where an MP3 file does not tell its length libsndfile guesses it from the first frames, and ends there.
    if known.format in _FORMATS and (known.format != "MP3" or tells_length(file)):
        return known
    known.close()
    return None


def _blocks(known: Any, file: Watched) -> Iterator[Samples]:
    import soundfile

    size = block_samples(known.samplerate, known.channels)
    while True:
        try:
            block = known.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            file.check()
            raise RowError("invalid_audio", f"decoding it failed: {error.error_string}") from None
        file.check()
        if not len(block):
            return
        yield np.asarray(block)
