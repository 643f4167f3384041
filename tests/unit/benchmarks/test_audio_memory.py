"""The benchmark of memory: its files take no disk, and what it reads is this process's own."""

from __future__ import annotations

import mmap
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.audio.memory import private, sparse, tenths
from benchmarks.watched import watched


def test_an_hour_of_near_silence_takes_next_to_no_disk(tmp_path: Path) -> None:
    import soundfile

    path = sparse(tmp_path / "hour.wav", 3600)
    info = soundfile.info(str(path))
    assert (info.samplerate, info.channels, info.frames) == (16_000, 1, 3600 * 16_000)
    assert path.stat().st_size == 44 + 2 * 3600 * 16_000
    assert path.stat().st_blocks * 512 < 2 << 20
    start, _ = soundfile.read(str(path), frames=30 * 16_000)
    loud = np.flatnonzero(np.abs(start) > 0.001)
    assert 8_000 <= loud.min() < loud.max() < 9_600
    assert np.abs(start).max() > 0.1


def test_the_most_of_every_tenth() -> None:
    assert tenths(list(range(100))) == [9, 19, 29, 39, 49, 59, 69, 79, 89, 99]
    assert tenths([3, 1, 2]) == [3, 1, 2]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="smaps_rollup is Linux's")
def test_what_a_process_takes_is_seen_while_it_holds_it() -> None:
    before = private()
    # Memory asked of the kernel: an allocator may hand out again what the tests before this one have freed.
    own = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with watched(private, every=0.1) as sizes, mmap.mmap(-1, 50 << 20, flags=own) as held:
        held.write(b"\1" * (50 << 20))
        time.sleep(0.35)
    assert max(sizes) - before > 45 << 20
