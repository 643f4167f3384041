from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.audio.first import first
from engine.audio.stream import Samples, Stream


def test_it_ends_after_its_seconds_and_what_follows_is_not_decoded() -> None:
    decoded = []

    def blocks() -> Iterator[Samples]:
        for i in range(4):
            decoded.append(i)
            yield np.full(10, i, np.float32)

    heard = first(Stream(blocks(), 10), 1.5)
    parts = [heard.read(8), heard.read(8), heard.read(8)]
    assert [part.tolist() for part in parts] == [[0.0] * 8, [0.0] * 2 + [1.0] * 5, []]
    assert decoded == [0, 1]
    assert (heard.rate, heard.seconds) == (10, 1.5)


def test_a_shorter_recording_is_heard_to_its_end() -> None:
    heard = first(Stream(iter([np.ones(10, np.float32)]), 10), 60.0)
    assert [heard.read(8).size for _ in range(3)] == [8, 2, 0]


def test_a_long_beginning_is_read_in_parts() -> None:
    whole = Stream(iter([np.ones(1_000, np.float32)] * 3), 10)
    heard = first(whole, 250.0)
    assert heard.read(1_500).size == 1_500
    assert heard.read(1_500).size == 1_000
