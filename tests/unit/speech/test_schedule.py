"""The schedule with a fake that hears: who shares a batch, who waits, what fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from engine.audio.feed import Piece
from engine.errors import RowError
from engine.speech.clip import Clip, Heard
from engine.speech.recorded import Recorded
from engine.speech.schedule import Schedule
from engine.speech.sound import Sound
from engine.speech.written import Written


class Fake(Sound):
    def __init__(self, frames: int) -> None:
        super().__init__(np.zeros(frames, np.float32), 10)
        self.closed = 0

    def _cut(self, at: int) -> np.ndarray:
        return np.zeros((1, min(10, self.frames - at)), np.float32)

    def close(self) -> None:
        self.closed += 1


def clip(index: int, frames: int = 10) -> Clip:
    return Clip(item=-1, index=index, start=0.0, shared=0.0, sound=Fake(frames), timed=True)


def heard(*, silent: bool = False, language: str = "en") -> Heard:
    text = Written(np.zeros(1, np.int64), np.zeros(1, np.float32), 0.0, 0.0, "stop")
    return Heard(text, silent, language=language)


class Ear:
    """Hears 10 frames at once, and remembers who was heard together."""

    def __init__(self, answer: Callable[[Clip], Heard | RowError] = lambda clip: heard()) -> None:
        self.batches: list[list[tuple[int, int, int]]] = []
        self.known: list[list[str | None]] = []
        self.answer = answer

    def __call__(self, clips: Sequence[Clip], languages: Sequence[str | None]) -> list[Heard | RowError]:
        self.batches.append([(one.item, one.index, one.seek) for one in clips])
        self.known.append(list(languages))
        return [self.answer(one) for one in clips]


def advance(clip: Clip, heard: Heard) -> None:
    clip.seek += 10


def run(
    ear: Ear, pieces: list[Piece], *, size: int = 4, language: str | None = "en"
) -> tuple[dict[int, Recorded], list[Clip]]:
    clips = [piece.value for piece in pieces if piece.value is not None]
    found = Schedule(iter(pieces), ear, advance, language=language, size=size).run()
    assert all(one.sound.closed for one in clips)  # type: ignore[attr-defined]
    return dict(found), clips


def test_long_and_short_recordings_share_batches_that_are_refilled() -> None:
    ear = Ear()
    pieces = [Piece(0, clip(0, 35)), Piece(1, clip(0)), Piece(1, None), Piece(2, clip(0, 15)), Piece(3, clip(0))]

    found, _ = run(ear, [*pieces, Piece(0, None), Piece(2, None), Piece(3, None)], size=2)

    assert ear.batches == [
        [(0, 0, 0), (1, 0, 0)],
        [(0, 0, 10), (2, 0, 0)],
        [(0, 0, 20), (2, 0, 10)],
        [(0, 0, 30), (3, 0, 0)],
    ]
    assert {item: len(one.clips) for item, one in found.items()} == {0: 1, 1: 1, 2: 1, 3: 1}


def test_clips_wait_until_the_language_is_known() -> None:
    """The first 30 s are silent, so the second clip is asked, then the rest share a batch."""
    ear = Ear(lambda clip: heard(silent=clip.index == 0, language="de" if clip.index == 1 else "fr"))
    pieces = [*(Piece(0, clip(i)) for i in range(4)), Piece(0, None)]

    found, _ = run(ear, pieces, language=None)

    assert ear.batches == [[(0, 0, 0)], [(0, 1, 0)], [(0, 2, 0), (0, 3, 0)]]
    assert ear.known == [[None], [None], ["de", "de"]]
    assert found[0].language == "de"


def test_waiting_clips_are_bounded() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[Piece]:
        for i in range(100):
            taken.append(i)
            yield Piece(0, clip(i))

    def answer(clip: Clip) -> Heard:
        assert len(taken) <= clip.index + 8
        return heard()

    Schedule(pieces(), Ear(answer), advance, language=None, size=4).run()
    assert len(taken) == 100


def test_a_recording_that_fails_costs_itself_alone() -> None:
    broken = RowError("invalid_audio", "half way")
    ear = Ear(lambda clip: RowError("non_finite", "NaN") if clip.item == 1 else heard())
    pieces = [Piece(i, clip(0, 25)) for i in range(3)] + [Piece(1, clip(1)), Piece(2, None, broken), Piece(1, clip(2))]

    found, _ = run(ear, [*pieces, Piece(0, None), Piece(1, None)], size=2)

    assert found[0].failed is None
    assert found[1].failed is not None
    assert found[1].failed.code == "non_finite"
    assert found[2].failed is broken


def test_a_batch_out_of_memory_is_halved() -> None:
    class Small(Ear):
        def __call__(self, clips: Sequence[Clip], languages: Sequence[str | None]) -> list[Heard | RowError]:
            if len(clips) > 1:
                raise MemoryError
            return super().__call__(clips, languages)

    ear = Small()
    found, _ = run(ear, [Piece(i, clip(0)) for i in range(4)])

    assert sorted(ear.batches) == [[(i, 0, 0)] for i in range(4)]
    assert all(one.failed is None for one in found.values())


def test_sounds_are_given_back_when_the_device_is_lost() -> None:
    def lost(clip: Clip) -> Heard:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    clips = [clip(0), clip(0)]
    with pytest.raises(RuntimeError, match="CUDA error"):
        Schedule(iter([Piece(i, one) for i, one in enumerate(clips)]), Ear(lost), advance, language="en", size=2).run()
    assert all(one.sound.closed for one in clips)  # type: ignore[attr-defined]
