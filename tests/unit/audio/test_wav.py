"""Samples as a wav file, read back."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
import soundfile

from engine.audio.wav import wav

SAMPLES = np.array([0.0, 0.5, -1.0, 1.0, 1.5, -3.0], np.float32)


def test_sixteen_bits_clip() -> None:
    read, rate = soundfile.read(io.BytesIO(wav(SAMPLES, 16_000, "pcm_16")), dtype="float32")
    assert rate == 16_000
    np.testing.assert_allclose(read, np.clip(SAMPLES, -1, 1), atol=1 / 2**15)


def test_floats_are_kept() -> None:
    audio = wav(SAMPLES, 22_050, "float")
    read, rate = soundfile.read(io.BytesIO(audio), dtype="float32")
    assert (rate, soundfile.info(io.BytesIO(audio)).subtype) == (22_050, "FLOAT")
    np.testing.assert_array_equal(read, SAMPLES)


def test_the_bytes_do_not_tell_when_they_were_made() -> None:
    """libsndfile writes the time beside the peak of floats, in whole seconds: these two differ in it."""
    plain = io.BytesIO()
    soundfile.write(plain, SAMPLES, 16_000, format="WAV", subtype="FLOAT")
    made = wav(SAMPLES, 16_000, "float")
    at = plain.getvalue().index(b"PEAK") + 12
    assert int.from_bytes(plain.getvalue()[at : at + 4], "little") == pytest.approx(time.time(), abs=600)
    assert made == plain.getvalue()[:at] + bytes(4) + plain.getvalue()[at + 4 :]


def test_no_samples_are_a_file_too() -> None:
    assert soundfile.info(io.BytesIO(wav(SAMPLES[:0], 16_000, "pcm_16"))).frames == 0
