"""Files that lie: they cost no memory, touch nothing else, and are errors of their rows."""

from __future__ import annotations

import io
import random
import socket
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.audio.limits import Limits
from engine.errors import RowError
from tests import recordings
from tests.recordings import RATE, Samples, contained, flac, header, noise, wav
from tests.unit.audio.test_formats import error_of, heard

HOUR = Limits(duration_s=3600, nbytes=1 << 30, decoded_bytes=1 << 30)


def test_a_header_that_says_too_much() -> None:
    data = header(2 * 7200 * RATE) + bytes(2 * RATE)
    error = error_of(data, limits=HOUR)
    assert (error.code, error.message) == (
        "invalid_audio",
        "expected 230400000 bytes of samples by its header, got 32000",
    )


def test_a_header_that_says_too_little() -> None:
    data = header(2 * RATE) + bytes(2 * 7200 * RATE)
    error = error_of(data, limits=HOUR)
    assert (error.code, error.message) == (
        "invalid_audio",
        "expected 32000 bytes of samples by its header, 230368000 follow them",
    )


def test_chunks_behind_the_samples_are_no_lie() -> None:
    samples = noise(0.1)
    behind = struct.pack("<4sI", b"LIST", 8000) + bytes(8000)
    assert heard(wav(samples) + behind).size == samples.size


def test_flac_that_says_another_length() -> None:
    data = bytearray(flac(noise(1.0)))
    for seconds in (7200, 1):
        total = seconds * RATE + (1 if seconds == 1 else 0)
        data[21] = data[21] & 0xF0 | total >> 32
        data[22:26] = struct.pack(">I", total & 0xFFFFFFFF)
        assert error_of(bytes(data), limits=Limits(10_000, 1 << 30, 1 << 40)).code == "invalid_audio"
    assert error_of(bytes(data), limits=Limits(0.5, 1 << 30, 1 << 40)).code == "too_long"


def test_silence_that_packs_well_is_counted() -> None:
    """Two hours of silence in a few hundred KiB."""
    data = flac(np.zeros(2 * 3600 * 2000, np.float32), 2000)
    assert len(data) < 1 << 20
    assert error_of(data, limits=HOUR).code == "too_long"
    small = Limits(duration_s=1e6, nbytes=1 << 30, decoded_bytes=4 << 20)
    error = error_of(data, limits=small)
    assert (error.code, error.message) == (
        "too_large",
        "expected at most 4194304 decoded bytes: raise max_decoded_bytes",
    )


def test_what_containers_unpack_is_counted() -> None:
    data = contained(np.zeros(120 * RATE, np.float32), format="ipod", codec="alac")
    assert error_of(data, limits=Limits(60, 1 << 30, 1 << 40)).code == "too_long"
    assert error_of(data, limits=Limits(600, 1 << 30, 1 << 20)).code == "too_large"


@pytest.mark.parametrize(
    ("rate", "channels", "bits"),
    [(10**9, 1, 16), (4_294_967_295, 2, 16), (RATE, 65_535, 16), (0, 1, 16), (RATE, 0, 16)],
)
def test_absurd_headers_allocate_nothing(rate: int, channels: int, bits: int) -> None:
    data = header(10_000, rate=rate, channels=channels, bits=bits) + bytes(10_000)
    error_of(wav(noise(0.1))[:60])  # imports
    tracemalloc.start()
    assert error_of(data).code == "invalid_audio"
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_an_index_that_says_too_much() -> None:
    """An MP4 file of 10 KB whose tables say that 40 million samples of one byte lie in its first chunk."""
    data = bytearray(recordings.m4a(noise(1.0)))
    samples, chunks = data.find(b"stsz"), data.find(b"stsc")
    data[samples + 8 : samples + 16] = struct.pack(">II", 1, 40_000_000)
    data[chunks + 16 : chunks + 20] = struct.pack(">I", 40_000_000)
    code, peak = code_and_peak(bytes(data))
    assert code == "invalid_audio"
    assert peak < 256 << 20  # a GiB more, was the index made


def code_and_peak(data: bytes) -> tuple[str, int]:
    """The code of the error that decoding gives in a process of its own, and the bytes that it took at most."""
    script = (
        "import sys; from tests.unit.audio.test_bombs import heard_or_code\n"
        "print(heard_or_code(sys.stdin.buffer.read()), open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, check=True, timeout=120)
    code, peak = done.stdout.decode().split()
    return code, int(peak) << 10


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\n{file}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {file}\n",
        "ffconcat version 1.0\nfile http://127.0.0.1:{port}/a.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.wav\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
        'mimeType="audio/mp4"><Representation id="1"><BaseURL>http://127.0.0.1:{port}/a</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>",
        "rtsp://127.0.0.1:{port}/a",
        "file:{file}",
    ],
    ids=["hls", "concat", "concat of the network", "hls of the network", "sdp", "dash", "rtsp", "file"],
)
def test_playlists_are_not_followed(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.wav"
    file.write_bytes(wav(noise(1)))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        written = text.format(file=file, port=server.getsockname()[1])
        assert error_of(written.encode()).code == "invalid_audio"
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_track_may_not_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An MP4 file may say that its samples are in another file, which FFmpeg is not to open."""
    monkeypatch.chdir(tmp_path)
    data = recordings.m4a(noise(1))
    at = data.find(b"url ")  # a reference of 12 bytes, whose flag says: in this file
    Path("x").write_bytes(data)
    elsewhere = data[: at + 4] + b"\0\0\0\0" + data[at + 8 :]
    assert heard_or_code(elsewhere) in (heard_or_code(data), "invalid_audio")


def heard_or_code(data: bytes) -> int | str:
    try:
        return heard(data, limits=HOUR).size
    except RowError as error:
        return error.code


@pytest.mark.parametrize(
    "made",
    [
        *(recordings.wav, recordings.flac, recordings.mp3, recordings.ogg, recordings.opus, recordings.m4a),
        lambda samples: recordings.webm(samples, RATE),
        lambda samples: recordings.encoded(samples, format="CAF"),
    ],
    ids=["wav", "flac", "mp3", "ogg", "opus", "m4a", "webm", "caf"],
)
def test_broken_bytes_are_errors_of_their_row(made: Callable[[Samples], bytes]) -> None:
    """Anywhere in a file, most in its head; what is raised is a RowError, or the rest is heard."""
    whole, draw = made(noise(0.2)), random.Random(0)
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(draw.choice([1, 4, 30])):
            data[draw.randrange(min(len(data), draw.choice([64, 512, 1 << 20])))] = draw.randrange(256)
        found = heard_or_code(bytes(data[: draw.choice([None, draw.randrange(len(data))])]))
        assert isinstance(found, int) or found in ("invalid_audio", "too_long", "too_large")


def test_pictures_without_sound() -> None:
    import av

    made = io.BytesIO()
    with av.open(made, "w", format="mp4") as container:
        shown = container.add_stream("mpeg4", rate=5)
        shown.width, shown.height, shown.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            container.mux(shown.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(shown.encode(None))
    error = error_of(made.getvalue())
    assert (error.code, error.message) == ("invalid_audio", "expected a recording, got a file without a track of sound")
