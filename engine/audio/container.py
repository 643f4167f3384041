"""Files that FFmpeg reads: m4a, mp4, webm and what libsndfile refuses. It reads the one file, and no network."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import Any, Final, cast

from engine.audio.sound import RATES, Sound, block_samples
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
#: Bytes that FFmpeg may allocate at once: an MP4 file of 10 KB may say that it holds a billion samples, which its index
#: would list. That of four hours of AAC takes half as much.
_ALLOCATED_BYTES: Final = 64 << 20
#: Tracks of a file at most: each has an index of its own.
_TRACKS: Final = 32
#: Samples of a frame in all channels: formats without loss have a million, WavPack's headers know 16,384 channels.
_FRAME_SAMPLES: Final = {"max_samples": str(16 << 20)}


@contextmanager
def opened(file: Watched) -> Iterator[Any]:
    """The file as ``av.container.InputContainer``. Raises RowError(invalid_audio) for one that FFmpeg does not know."""
    import av

    options = {
        "format_whitelist": ",".join(FORMATS),
        "protocol_whitelist": "",
        "codec_whitelist": ",".join(CODECS),
        "probesize": str(_PROBED_BYTES),
        "max_streams": str(_TRACKS),
        **_FRAME_SAMPLES,
    }
    _bound_allocations()
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
        if track.codec_context is None:
            raise RowError("invalid_audio", "expected a recording, got a track of sound that no decoder knows")
        track.codec_context.thread_count = 1
        track.codec_context.options = dict(_FRAME_SAMPLES)
        frames = _frames(container, track, file)
        first = next(frames, None)
        if first is None and (track.frames or track.duration):
            raise RowError("invalid_audio", "expected samples by its header, none can be read")
        if first is None:
            yield Sound(track.rate or RATES[0], 1, iter(()))
        else:
            yield Sound(first.sample_rate, first.layout.nb_channels, _blocks(first, frames))


@cache
def _bound_allocations() -> None:
    """Has FFmpeg refuse larger pieces of memory than a recording needs, in the whole process: it has no other limit."""
    import av._core

    limit = ctypes.CDLL(av._core.__file__).av_max_alloc  # found in the library that PyAV links
    limit.argtypes, limit.restype = [ctypes.c_size_t], None
    limit(_ALLOCATED_BYTES)


def _refuse(url: str, flags: int, options: Any) -> Any:
    raise PermissionError("a recording may not name other files")


def _frames(container: Any, track: Any, file: Watched) -> Iterator[Any]:
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
        yield frame


def _blocks(first: Any, frames: Iterator[Any]) -> Iterator[Samples]:
    """float32 [samples, channels] of some seconds; a frame is milliseconds."""
    import av

    rate, channels = first.sample_rate, first.layout.nb_channels
    # Interleaved: of 8 channels and more, PyAV 18 looks for planes beyond the last.
    regroup = av.AudioResampler(format="flt", frame_size=block_samples(rate, channels))
    for frame in chain([first], frames, [None]):
        if frame is not None and (frame.sample_rate, frame.layout.nb_channels) != (rate, channels):
            raise RowError("invalid_audio", f"expected {rate} Hz and {channels} channels throughout, got others")
        try:
            made = regroup.resample(frame)
        except (av.FFmpegError, ValueError):
            raise RowError("invalid_audio", f"samples of {channels} channels can't be read") from None
        for one in made:
            yield cast(Samples, one.to_ndarray()).reshape(-1, channels)
