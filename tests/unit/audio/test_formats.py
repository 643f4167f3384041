"""What is heard of each format, rate and layout: against the samples that were written."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.audio.limits import Limits
from engine.audio.recording import Encoded
from engine.errors import RowError
from tests import recordings
from tests.recordings import RATE, Samples, contained, encoded, noise, tone, wav

ANY = Limits(duration_s=1e9, nbytes=1 << 40, decoded_bytes=1 << 40)


def heard(data: bytes, rate: int = RATE, channel: int | None = None, limits: Limits = ANY) -> Samples:
    """All samples of a file, read in uneven pieces."""
    with Encoded(pa.py_buffer(data)).open(rate, channel, limits) as stream:
        parts = [stream.read(7)]
        while (part := stream.read(10_007)).size:
            parts.append(part)
        whole = np.concatenate(parts)
        assert stream.seconds == whole.size / rate
    assert whole.dtype == np.float32
    return whole


def error_of(data: bytes, **options: Any) -> RowError:
    with pytest.raises(RowError) as caught:
        heard(data, **options)
    return caught.value


def correlation(found: Samples, expected: Samples) -> float:
    """How alike two signals are at the best shift of a tenth of a second: codecs pad the start."""
    spectrum = np.fft.rfft(found, 1 << 17) * np.conj(np.fft.rfft(expected, 1 << 17))
    products = np.fft.irfft(spectrum)
    return float(max(products[:1600].max(), products[-1600:].max()) / np.linalg.norm(found) / np.linalg.norm(expected))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wav_is_heard_as_it_was_written(subtype: str) -> None:
    assert np.abs(heard(wav(noise(), subtype=subtype)) - noise()).max() <= 2**-15


@pytest.mark.parametrize(
    "made",
    [
        recordings.flac,
        recordings.mp3,
        recordings.ogg,
        recordings.opus,
        recordings.m4a,
        lambda samples: contained(samples, RATE, format="mp4", codec="aac"),
        lambda samples: contained(samples, RATE, format="adts", codec="aac"),
        lambda samples: contained(samples, RATE, format="mp4", codec="aac", video="mpeg4"),
        lambda samples: contained(samples, 16_000, format="webm", codec="libopus", video="libvpx"),
        lambda samples: contained(samples, RATE, format="ipod", codec="alac"),
        lambda samples: contained(samples, RATE, format="matroska", codec="pcm_s16le"),
        lambda samples: contained(samples, RATE, format="matroska", codec="libopus"),
        lambda samples: contained(samples, RATE, format="mp3", codec="libmp3lame"),
        lambda samples: encoded(samples, RATE, format="AIFF"),
        lambda samples: encoded(samples, RATE, format="AU"),
        lambda samples: encoded(samples, RATE, format="CAF"),
        lambda samples: encoded(samples, RATE, format="W64"),
        lambda samples: encoded(samples, RATE, format="RF64"),
        lambda samples: encoded(samples, RATE, format="WAV", subtype="ULAW"),
        lambda samples: encoded(samples, RATE, format="WAV", subtype="IMA_ADPCM"),
    ],
    ids=[
        *("flac", "mp3", "ogg", "opus", "m4a", "mp4", "adts", "mp4 with pictures", "webm with pictures", "alac"),
        *("mka", "opus in mka", "ffmpeg's mp3", "aiff", "au", "caf", "w64", "rf64", "u-law", "adpcm"),
    ],
)
def test_every_format_is_heard(made: Callable[[Samples], bytes]) -> None:
    time = np.arange(3 * RATE) / RATE
    sweep = (0.5 * np.sin(2 * np.pi * (200 + 400 * time) * time)).astype(np.float32)
    found = heard(made(sweep))
    assert abs(found.size - sweep.size) <= 0.15 * RATE  # what codecs pad
    assert correlation(found, sweep) > 0.98


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_resampling_in_a_stream_is_resampling_at_once(rate: int) -> None:
    import soxr

    whole = noise(25, rate)
    expected = soxr.resample(whole, rate, RATE, quality="HQ") if rate != RATE else whole
    found = heard(wav(whole, rate, subtype="FLOAT"))
    assert found.size == expected.size
    assert np.abs(found - expected).max() < 1e-6


def test_channels_are_mixed_or_one_is_chosen() -> None:
    both = tone(0.5, channels=2)
    data = wav(both, subtype="FLOAT")
    assert np.allclose(heard(data), both.mean(axis=1), atol=1e-7)
    for channel in (0, 1):
        assert np.array_equal(heard(data, channel=channel), both[:, channel])
    error = error_of(data, channel=2)
    assert (error.code, error.message) == ("invalid_audio", "expected channel 2, the recording has 2, from 0")


@pytest.mark.parametrize("layout", ["mono", "stereo", "7.1"])
def test_channels_of_containers(layout: str) -> None:
    channels = {"mono": 1, "stereo": 2, "7.1": 8}[layout]
    data = contained(tone(0.5, 48_000, channels, hertz=100), 48_000, format="mp4", codec="aac")
    found = [heard(data, channel=channel)[2000:6000] for channel in range(channels)]
    assert np.allclose(heard(data)[2000:6000], np.mean(found, axis=0), atol=1e-6)
    assert error_of(data, channel=channels).code == "invalid_audio"


@pytest.mark.parametrize("samples", [0, 1, 2, 159])
@pytest.mark.parametrize("rate", [8_000, RATE, 44_100])
def test_the_shortest_recordings(samples: int, rate: int) -> None:
    found = heard(wav(np.full(samples, 0.25, np.float32), rate))
    assert abs(found.size - samples * RATE / rate) <= 1
    assert samples > 0 or found.size == 0


def test_a_pipes_wav_has_no_length() -> None:
    whole = wav(noise(0.5))
    for unknown in (b"\xff\xff\xff\xff", b"\x00\xff\xff\x7f", b"\x00\x00\x00\x80"):
        piped = whole[:4] + unknown + whole[8:40] + unknown + whole[44:]
        assert np.array_equal(heard(piped), heard(whole))


@pytest.mark.parametrize("name", recordings.odd_bytes().keys() - {"null"})
def test_odd_files_are_row_errors_or_recordings(name: str) -> None:
    case = recordings.odd_bytes()[name]
    if case.code:
        assert error_of(case.cell).code == case.code
    else:
        assert np.isfinite(heard(case.cell)).all()


@pytest.mark.parametrize(
    "made",
    [
        *(recordings.wav, recordings.flac, recordings.mp3, recordings.ogg, recordings.opus, recordings.m4a),
        lambda samples: recordings.webm(samples, RATE),
        lambda samples: encoded(samples, format="AIFF"),
        lambda samples: encoded(samples, format="RF64"),
    ],
    ids=["wav", "flac", "mp3", "ogg", "opus", "m4a", "webm", "aiff", "rf64"],
)
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_file_that_breaks_off_is_an_error(made: Callable[[Samples], bytes], kept: float) -> None:
    data = made(noise(3))
    assert error_of(data[: int(kept * len(data))]).code == "invalid_audio"


@pytest.mark.parametrize("noisy", ["first", "last"])
def test_an_mp3_that_does_not_tell_its_length_is_heard_to_its_end(noisy: str) -> None:
    """Noise and silence differ in bit rate: a length guessed from the first frames is wrong, and may be too short."""
    import soundfile

    parts = [noise(5), np.zeros(20 * RATE, np.float32)]
    file = BytesIO()
    samples = np.concatenate(parts if noisy == "first" else parts[::-1])
    soundfile.write(file, samples, RATE, format="MP3", bitrate_mode="VARIABLE", compression_level=0.3)
    whole = file.getvalue()
    silent = whole[whole.find(whole[:2], 4) :]  # without the frame that tells
    assert heard(whole).size == samples.size
    assert heard(silent).size == pytest.approx(samples.size, abs=0.2 * RATE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_are_numbers(value: float) -> None:
    spoilt = noise(30)
    spoilt[29 * RATE] = value
    error = error_of(wav(spoilt, subtype="FLOAT"))
    assert (error.code, error.message) == ("invalid_audio", "expected samples that are numbers, got NaN or Inf")


def test_names_mean_nothing(tmp_path: Path) -> None:
    from engine.audio.decoding import decoded

    for name in ("a.raw", "b.wav", "c.mp3", "d.m3u8", "e"):
        (tmp_path / name).write_bytes(recordings.m4a(tone(0.5)))
        with (tmp_path / name).open("rb") as file, decoded(file) as sound:
            assert sound.rate == RATE
            assert sum(map(len, sound.blocks)) >= 0.5 * RATE


def test_blocks_are_some_seconds() -> None:
    from engine.audio.decoding import decoded

    for data in (wav(noise(60)), recordings.m4a(noise(60))):
        with decoded(BytesIO(data)) as sound:
            sizes = [len(block) for block in sound.blocks]
        assert len(sizes) <= 8
        assert max(sizes) <= 12 * RATE


def test_reading_that_fails_is_not_the_end() -> None:
    from engine.audio.decoding import decoded

    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 200_000:
                raise ConnectionResetError("a host's name")
            return super().read(size)

    for data in (
        wav(noise(60)),
        recordings.flac(noise(60)),
        contained(noise(60), format="matroska", codec="pcm_s16le"),
    ):
        with pytest.raises(RowError) as caught, decoded(Broken(data)) as sound:
            list(sound.blocks)
        assert caught.value.code == "unreadable"
        assert caught.value.message == "reading the file raised ConnectionResetError: try again"
