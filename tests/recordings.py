"""Recordings made for tests: sound and broken, as bytes and as files."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

RATE: Final = 16_000


def tone(seconds: float = 1.0, rate: int = RATE, channels: int = 1, *, hertz: float = 440.0) -> Samples:
    """A tone of amplitude 0.5, float32 [samples], or [samples, channels] where there are several: each an octave up."""
    time = np.arange(round(seconds * rate)) / rate
    voices = [0.5 * np.sin(2 * np.pi * hertz * 2**channel * time) for channel in range(channels)]
    return np.stack(voices, axis=1).astype(np.float32) if channels > 1 else voices[0].astype(np.float32)


def noise(seconds: float = 1.0, rate: int = RATE, *, seed: int = 0) -> Samples:
    """White noise of deviation 0.1, float32 [samples]."""
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


def encoded(samples: Samples, rate: int = RATE, *, format: str, subtype: str | None = None) -> bytes:
    """A file of samples [samples] or [samples, channels] in a format of soundfile's, as bytes."""
    import soundfile

    file = BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


def wav(samples: Samples, rate: int = RATE, *, subtype: str = "PCM_16") -> bytes:
    return encoded(samples, rate, format="WAV", subtype=subtype)


def flac(samples: Samples, rate: int = RATE) -> bytes:
    return encoded(samples, rate, format="FLAC")


def mp3(samples: Samples, rate: int = RATE) -> bytes:
    return encoded(samples, rate, format="MP3")


def ogg(samples: Samples, rate: int = RATE) -> bytes:
    return encoded(samples, rate, format="OGG", subtype="VORBIS")


def opus(samples: Samples, rate: int = RATE) -> bytes:
    return encoded(samples, rate, format="OGG", subtype="OPUS")


def contained(samples: Samples, rate: int = RATE, *, format: str, codec: str, video: str | None = None) -> bytes:
    """A file in a format of FFmpeg's, as bytes; ``video`` is the codec of a few black frames beside the sound."""
    import av

    file = BytesIO()
    channels = samples.shape[1] if samples.ndim > 1 else 1
    with av.open(file, "w", format=format) as container:
        layout = {1: "mono", 2: "stereo", 8: "7.1"}[channels]
        sound: Any = container.add_stream(codec, rate=rate, layout=layout)
        shown: Any = None
        if video is not None:
            shown = container.add_stream(video, rate=5)
            shown.width, shown.height, shown.pix_fmt = 64, 48, "yuv420p"
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate = rate
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        for _ in range(5 if shown is not None else 0):
            container.mux(shown.encode(av.VideoFrame(64, 48, "yuv420p")))
        if shown is not None:
            container.mux(shown.encode(None))
    return file.getvalue()


def m4a(samples: Samples, rate: int = RATE) -> bytes:
    return contained(samples, rate, format="ipod", codec="aac")


def webm(samples: Samples, rate: int = 48_000) -> bytes:
    return contained(samples, rate, format="webm", codec="libopus")


def header(data_bytes: int, *, rate: int = RATE, channels: int = 1, bits: int = 16) -> bytes:
    """The 44 bytes at the head of a wav file that says it holds so many bytes of samples."""
    width = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * width & 0xFFFFFFFF, width & 0xFFFF, bits)
    riff = struct.pack("<4sI4s", b"RIFF", (36 + data_bytes) & 0xFFFFFFFF, b"WAVE")
    return riff + struct.pack("<4sI", b"fmt ", 16) + form + struct.pack("<4sI", b"data", data_bytes)


def sparse(path: Path, seconds: float, rate: int = RATE) -> Path:
    """Writes a wav file of silence that takes no room on the disk."""
    nbytes = round(seconds * rate) * 2
    with path.open("wb") as file:
        file.write(header(nbytes, rate=rate))
        file.truncate(44 + nbytes)
    return path


class Case(NamedTuple):
    """A recording out of the ordinary.

    Args:
        cell: of the column; None is a null.
        code: of the error that its row has; "" where it is answered, None where its struct is null.
    """

    cell: Any
    code: str | None


def odd_bytes() -> dict[str, Case]:
    """Files that are broken, or sound and unusual, as bytes."""
    whole = tone(0.3)
    spoilt = whole.copy()
    spoilt[100] = np.nan
    return {
        "truncated wav": Case(wav(whole)[:2000], "invalid_audio"),
        "truncated flac": Case(flac(whole)[:2000], "invalid_audio"),
        "truncated m4a": Case(m4a(whole)[:500], "invalid_audio"),
        "zero-length": Case(b"", "invalid_audio"),
        "all-zero": Case(wav(np.zeros(RATE // 4, np.float32)), ""),
        "non-audio": Case(b"this is no recording, " * 100, "invalid_audio"),
        "a picture": Case(b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "invalid_audio"),
        "8 kHz": Case(wav(tone(0.3, 8000), 8000), ""),
        "192 kHz": Case(wav(tone(0.3, 192_000), 192_000), ""),
        "8 channels": Case(wav(tone(0.3, channels=8, hertz=30)), ""),
        "one sample": Case(wav(whole[:1]), ""),
        "no sample": Case(wav(whole[:0]), ""),
        "NaN samples": Case(wav(spoilt, subtype="FLOAT"), "invalid_audio"),
        "null": Case(None, None),
    }


def odd_paths(root: Path) -> dict[str, Case]:
    """The same as files below ``root``, which is made with them, and paths that can't be read."""
    root.mkdir(parents=True, exist_ok=True)
    cases = {}
    for name, case in odd_bytes().items():
        cases[name] = Case(None if case.cell is None else _file(root / f"{name}.wav", case.cell), case.code)
    outside = _file(root.parent / "outside.wav", wav(tone(0.3)))
    (root / "link.wav").symlink_to(outside)
    (root / "folder.wav").mkdir(exist_ok=True)
    return {
        **cases,
        "mislabelled": Case(_file(root / "mislabelled.wav", mp3(tone(0.3))), ""),
        "missing path": Case(str(root / "missing.wav"), "not_found"),
        "outside the roots": Case(outside, "outside_roots"),
        "out by dots": Case(f"{root}/../outside.wav", "outside_roots"),
        "out by a link": Case(str(root / "link.wav"), "outside_roots"),
        "directory": Case(str(root / "folder.wav"), "invalid_audio"),
        "no path": Case("", "outside_roots"),
    }


def _file(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def clips(*, seed: int = 0) -> Sequence[bytes | None]:
    """Recordings of 0.05 to 1.5 s for every task to hear: several formats and rates, some null, some equal."""
    made = [
        wav(tone(0.4) + noise(0.4, seed=seed)),
        flac(noise(1.5, seed=seed + 1)),
        wav(tone(0.05, hertz=1000)),
        wav(tone(0.7, 8000, hertz=300), 8000),
        wav(tone(0.6, 44_100, channels=2, hertz=200), 44_100, subtype="FLOAT"),
        flac(tone(1.1, hertz=2000) + noise(1.1, seed=seed + 2)),
        wav(np.zeros(RATE // 3, np.float32)),
        flac(noise(0.2, seed=seed + 3)),
    ]
    return [None, *made, made[1], None, made[4]]


#: What ``AudioConformance`` scores.
CLIPS: Final = clips()
