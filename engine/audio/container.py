"""Files that FFmpeg reads: m4a, mp4, webm and what libsndfile refuses. It touches no file and no network but the one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final

import numpy as np

from engine.audio.sound import Sound, block_samples
from engine.audio.stream import Samples
from engine.audio.watched import Watched
from engine.errors import RowError

#: FFmpeg's names of containers that hold samples themselves. Playlists and the like (hls, dash, concat, sdp), which
#: name other files and servers, are none of them, nor are subtitles and pictures.
FORMATS: Final = (
    *("mov", "matroska", "ogg", "mp3", "aac", "flac", "wav", "w64", "aiff", "au", "caf", "ac3", "eac3", "amr"),
    *("asf", "avi", "flv", "mpeg", "mpegts", "ape", "wv", "tta", "tak", "dsf", "gsm", "loas", "dts", "truehd", "rm"),
)
#: Codecs that may be tried while a file is looked into: no pictures are decoded.
CODECS: Final = (
    *("aac", "aac_latm", "alac", "flac", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "opus", "libopus"),
    *("vorbis", "libvorbis", "ac3", "eac3", "amrnb", "amrwb", "libopencore_amrnb", "libopencore_amrwb", "gsm"),
    *("gsm_ms", "wmav1", "wmav2", "wmapro", "wmalossless", "wmavoice", "ape", "wavpack", "tta", "tak", "dca"),
    *("truehd", "mlp", "cook", "nellymoser", "speex", "g722", "g723_1", "g729", "adpcm_ms", "adpcm_ima_wav"),
    *("adpcm_ima_qt", "adpcm_swf", "adpcm_yamaha", "adpcm_g722", "adpcm_g726", "pcm_alaw", "pcm_mulaw", "pcm_u8"),
    *("pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le"),
    *("pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_bluray", "pcm_dvd", "dsd_lsbf", "dsd_msbf", "dsd_lsbf_planar"),
)
#: How much of a file is looked into at most before it is decoded.
_PROBED_BYTES: Final = 2 << 20


@contextmanager
def opened(file: Watched) -> Iterator[Any]:
    """The file as ``av.container.InputContainer``. Raises RowError(invalid_audio) for one that FFmpeg does not know."""
    import av

    options = {
        "format_whitelist": ",".join(FORMATS),
        "protocol_whitelist": "",
        "codec_whitelist": ",".join(CODECS),
        "probesize": str(_PROBED_BYTES),
    }
    try:
        container = av.open(file, "r", options=options, io_open=_refuse)
    except (av.FFmpegError, ValueError):
        file.check()
        raise RowError("invalid_audio", "expected a recording, got a file that no decoder knows") from None
    with container:
        yield container


@contextmanager
def contained(file: Watched) -> Iterator[Sound]:
    """The samples of its first track of sound, decoded as they are asked for; other tracks are passed over.

    Raises RowError(invalid_audio) for a file without sound, or that no decoder knows.
    """
    with opened(file) as container:
        if not container.streams.audio:
            raise RowError("invalid_audio", "expected a recording, got a file without a track of sound")
        track = container.streams.audio[0]
        track.codec_context.thread_count = 1
        arrays = _arrays(container, track, file)
        first = next(arrays, None)
        if first is None:
            yield Sound(track.rate or 16_000, 1, iter(()))
            return
        rate, array = first
        size = block_samples(rate, array.shape[1])
        yield Sound(rate, array.shape[1], _joined(chain([array], _same(arrays, rate, array.shape[1])), size))


def _refuse(url: str, flags: int, options: Any) -> Any:
    raise PermissionError("a recording may not name other files")


def _arrays(container: Any, track: Any, file: Watched) -> Iterator[tuple[int, Samples]]:
    """Rate and float32 [samples, channels] of each frame."""
    import av

    frames = container.decode(track)
    while True:
        try:
            frame = next(frames, None)
        except (av.FFmpegError, ValueError):
            file.check()
            raise RowError("invalid_audio", "decoding it failed: the file is broken") from None
        file.check()
        if frame is None:
            return
        yield frame.sample_rate, _array(frame)


def _array(frame: Any) -> Samples:
    channels = frame.layout.nb_channels
    if not 1 <= channels <= 1024:
        raise RowError("invalid_audio", f"expected few channels, got {channels}")
    values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, channels)
    if values.dtype.kind == "u":
        return (values.astype(np.float32) - 128) / 128
    if values.dtype.kind == "i":
        return values.astype(np.float32) / 2.0 ** (8 * values.dtype.itemsize - 1)
    return values.astype(np.float32)


def _same(arrays: Iterator[tuple[int, Samples]], rate: int, channels: int) -> Iterator[Samples]:
    for found, array in arrays:
        if (found, array.shape[1]) != (rate, channels):
            raise RowError(
                "invalid_audio",
                f"expected {rate} Hz and {channels} channels throughout, got {found} and {array.shape[1]} further on",
            )
        yield array


def _joined(arrays: Iterator[Samples], size: int) -> Iterator[Samples]:
    """The same samples in blocks of about ``size``: frames are milliseconds."""
    held: list[Samples] = []
    have = 0
    for array in arrays:
        held.append(array)
        have += len(array)
        if have >= size:
            yield np.concatenate(held)
            held, have = [], 0
    if held:
        yield np.concatenate(held)
