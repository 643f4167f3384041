"""How long recordings are by their headers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine.audio.header import header_seconds
from engine.audio.recording import Encoded, Located, Sampled
from engine.audio.roots import roots_of
from engine.audio.storage import Storage
from tests import recordings
from tests.recordings import Samples, encoded, noise, sparse, webm


@pytest.mark.parametrize(
    "made",
    [
        *(recordings.wav, recordings.flac, recordings.mp3, recordings.ogg, recordings.opus, recordings.m4a),
        lambda samples: webm(samples, 16_000),
        lambda samples: encoded(samples, format="AIFF"),
    ],
    ids=["wav", "flac", "mp3", "ogg", "opus", "m4a", "webm", "aiff"],
)
def test_seconds_of_files(made: Callable[[Samples], bytes]) -> None:
    assert header_seconds(Encoded(pa.py_buffer(made(noise(20))))) == pytest.approx(20, abs=0.3)


def test_seconds_of_samples() -> None:
    assert header_seconds(Sampled(pa.array(np.zeros(12_000, np.float32)), 8_000)) == 1.5


def test_a_long_file_is_not_read(tmp_path: Path) -> None:
    file = sparse(tmp_path / "long.wav", 3600)
    located = Located(pa.py_buffer(str(file).encode()), roots_of((str(tmp_path),)), Storage())
    assert header_seconds(located) == pytest.approx(3600)


def test_what_can_not_be_read_has_no_seconds(tmp_path: Path) -> None:
    for data in (b"", b"no recording" * 100):
        assert header_seconds(Encoded(pa.py_buffer(data))) is None
    for path, roots in ((tmp_path / "missing", (str(tmp_path),)), (tmp_path, ())):
        assert header_seconds(Located(pa.py_buffer(str(path).encode()), roots_of(roots), Storage())) is None
