"""Recordings of known text, made by espeak-ng: voices, speeds, rates and formats vary, the seed decides.

Clips are 2 to 28 s long, spread evenly; long recordings some minutes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from benchmarks.audio.sentences import texts

CLIPS: Final = "clips"
LONG: Final = "long"
#: Seconds of a clip, about, and Whisper's window, than which none is longer.
SHORTEST: Final = 2.0
LONGEST: Final = 28.0
_WINDOW: Final = 30.0

_GOLDEN: Final = (math.sqrt(5) - 1) / 2
_VOICES: Final = ("en-gb-x-rp", "en", "en-us")
_WORDS_A_MINUTE: Final = (130, 120, 145, 125, 140)
_SILENCE_S: Final = 0.2  # before and after the voice


@dataclass(frozen=True)
class Kind:
    """How a recording is stored: soundfile's format and subtype, samples a second, channels."""

    format: str
    subtype: str
    rate: int
    channels: int


#: What call centres, voice notes, podcasts and archives keep; every clip's is another than its neighbour's.
KINDS: Final = (
    Kind("WAV", "PCM_16", 16_000, 1),
    Kind("MP3", "MPEG_LAYER_III", 44_100, 2),
    Kind("WAV", "ULAW", 8_000, 1),
    Kind("FLAC", "PCM_16", 44_100, 2),
    Kind("OGG", "OPUS", 48_000, 1),
    Kind("OGG", "VORBIS", 44_100, 2),
    Kind("MP3", "MPEG_LAYER_III", 16_000, 1),
)


@dataclass(frozen=True)
class Recording:
    """A file's bytes, what is said in it and how long it takes, seconds."""

    data: bytes
    text: str
    seconds: float


def clips(count: int, *, seed: int = 0) -> Iterator[Recording]:
    """Clips of 2 to 28 s, about: as long as the voice takes for so many words."""
    seconds = [SHORTEST + (LONGEST - SHORTEST) * ((i + 1) * _GOLDEN % 1.0) for i in range(count)]
    return _said(seconds, seed=seed, most=_WINDOW)


def long(count: int, minutes: float, *, seed: int = 0) -> Iterator[Recording]:
    """Recordings of so many minutes, about."""
    return _said([60.0 * minutes] * count, seed=seed + 1)


def _said(seconds: Sequence[float], *, seed: int, most: float = math.inf) -> Iterator[Recording]:
    speeds = [_WORDS_A_MINUTE[i % len(_WORDS_A_MINUTE)] for i in range(len(seconds))]
    words = [max(2, round(s * speed / 60)) for s, speed in zip(seconds, speeds, strict=True)]
    for i, (text, speed) in enumerate(zip(texts(words, seed=seed), speeds, strict=True)):
        wave, rate = _voiced(text, _VOICES[i % len(_VOICES)], speed)
        while wave.size / rate > most:
            text = " ".join(text.split()[:-1]).rstrip(",.;:!?") + "."
            wave, rate = _voiced(text, _VOICES[i % len(_VOICES)], speed)
        yield Recording(encoded(wave, rate, KINDS[i % len(KINDS)]), text, wave.size / rate)


def _voiced(text: str, voice: str, speed: int) -> tuple[Any, int]:
    """The samples of a text with a little silence around them, and their rate."""
    import numpy as np

    from demo.speech import say

    wave, rate = say(text, voice=voice, rate_wpm=speed)
    return np.pad(wave, round(_SILENCE_S * rate)), rate


def encoded(wave: Any, rate: int, kind: Kind) -> bytes:
    """A file of samples (float32 [samples] at ``rate``). Where it has two channels, the right one is fainter."""
    import numpy as np
    import soundfile
    import soxr

    resampled = soxr.resample(wave, rate, kind.rate)
    gains = np.linspace(1.0, 0.7, kind.channels, dtype=np.float32)
    file = BytesIO()
    with soundfile.SoundFile(file, "w", kind.rate, kind.channels, kind.subtype, format=kind.format) as out:
        for start in range(0, len(resampled), kind.rate):  # libsndfile's Vorbis overflows the stack on long blocks
            out.write(0.9 * resampled[start : start + kind.rate, None] * gains)
    return file.getvalue()


def write(recordings: Sequence[Recording], folder: Path, *, files: int = 1) -> Path:
    """A table (id, audio, text, seconds) as Parquet files with equal shares of the seconds, each in the rows' order."""
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    for number, rows in enumerate(deal([one.seconds for one in recordings], files)):
        columns = {
            "id": pa.array(rows, pa.int64()),
            "audio": pa.array([recordings[row].data for row in rows], pa.binary()),
            "text": pa.array([recordings[row].text for row in rows], pa.string()),
            "seconds": pa.array([recordings[row].seconds for row in rows], pa.float64()),
        }
        pq.write_table(pa.table(columns), folder / f"part-{number}.parquet", compression="none")
    return folder


def read(folder: Path) -> list[Recording]:
    """What ``write`` wrote."""
    return [Recording(row["audio"], row["text"], row["seconds"]) for row in table(folder).to_pylist()]


def table(folder: Path) -> pa.Table:
    """All rows of a folder's files, in the order of their ids."""
    import pyarrow.parquet as pq

    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]).sort_by("id")


def deal(seconds: Sequence[float], shares: int) -> list[list[int]]:
    """Rows of each share, ascending: the longest first, each to who has the least."""
    rows: list[list[int]] = [[] for _ in range(shares)]
    for row in sorted(range(len(seconds)), key=lambda i: -seconds[i]):
        min(rows, key=lambda share: sum(seconds[i] for i in share)).append(row)
    return [sorted(share) for share in rows]
