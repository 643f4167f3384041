"""A recording cut as transformers' ``chunk_iter`` cuts it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio.stream import Stream
from engine.speech.stretches import Stretch, aligned, stretches


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 139, 140, 141, 1000])
@pytest.mark.parametrize("stride", [0, 30, 49])
def test_stretches_are_those_of_transformers(size: int, stride: int) -> None:
    from transformers import Wav2Vec2FeatureExtractor
    from transformers.pipelines.automatic_speech_recognition import chunk_iter

    samples = np.arange(size, dtype=np.float32)
    features = Wav2Vec2FeatureExtractor(do_normalize=False)
    want = list(chunk_iter(samples, features, 100, stride, stride)) if size else []
    found = list(stretches(Stream(iter(np.array_split(samples, 7)), 16_000), window=100, stride=stride))
    assert [(one.samples.size, one.left, one.right) for one in found] == [one["stride"] for one in want]
    for one, other in zip(found, want, strict=True):
        np.testing.assert_array_equal(one.samples, other["input_values"][0])
        assert one.samples[0] == one.start


def test_the_frames_of_stretches_follow_each_other() -> None:
    samples = np.zeros(10 * 320, np.float32)
    assert Stretch(samples, 0, 0, 640).kept(320) == slice(0, 8)
    assert Stretch(samples, 6 * 320, 640, 640).kept(320) == slice(2, 8)
    assert Stretch(samples[:1700], 12 * 320, 640, 0).kept(320) == slice(2, None)


def test_seconds_are_whole_frames() -> None:
    assert aligned(30.0, rate=16_000, ratio=320) == 480_000
    assert aligned(0.333, rate=16_000, ratio=320) == 17 * 320
    assert aligned(0.0, rate=16_000, ratio=320) == 0
