from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.audio.stream import Stream
from engine.speech.windows import Window, pause, windows

RATE, HOP = 1_000, 10


def tone(seconds: float, pauses: tuple[tuple[float, float], ...] = ()) -> np.ndarray:
    samples = np.sin(np.arange(round(seconds * RATE))).astype(np.float32)
    for start, end in pauses:
        samples[round(start * RATE) : round(end * RATE)] *= 0.001
    return samples


def cut(samples: np.ndarray) -> list[Window]:
    def blocks() -> Iterator[np.ndarray]:
        yield from np.array_split(samples, 7)

    return list(windows(Stream(blocks(), RATE), most=30 * RATE, hop=HOP))


def test_a_short_recording_is_one_window() -> None:
    samples = tone(30)

    (window,) = cut(samples)

    assert (window.start, window.shared) == (0, 0)
    np.testing.assert_array_equal(window.samples, samples)


def test_windows_meet_in_pauses() -> None:
    samples = tone(70, ((12, 14), (24.0, 25.0), (49, 50)))

    found = cut(samples)

    assert [window.shared for window in found] == [0, 0, 0]
    assert 24 < found[1].start / RATE < 25
    assert 49 < found[2].start / RATE < 50
    np.testing.assert_array_equal(np.concatenate([window.samples for window in found]), samples)


def test_windows_without_a_pause_overlap() -> None:
    samples = tone(70)

    found = cut(samples)

    assert [(w.start, w.shared, w.samples.size) for w in found] == [
        (0, 0, 30_000),
        (25_000, 5_000, 30_000),
        (50_000, 5_000, 20_000),
    ]
    for window in found:
        np.testing.assert_array_equal(window.samples, samples[window.start : window.start + window.samples.size])


def test_no_samples_make_no_window() -> None:
    assert cut(np.zeros(0, np.float32)) == []


def test_the_quietest_pause_is_taken_and_a_short_gap_is_none() -> None:
    both = tone(30, ((21, 22), (27, 28)))
    both[27 * RATE : 28 * RATE] = 0

    assert pause(both, RATE, HOP) in range(27_100, 27_910)
    assert pause(tone(30, ((27, 27.1),)), RATE, HOP) is None
    assert pause(tone(30, ((10, 11),)), RATE, HOP) is None
    assert pause(np.zeros(30 * RATE, np.float32), RATE, HOP) is not None
