from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from demo import calls


def test_calls_are_short_but_the_last_and_distinct() -> None:
    made = calls.read()
    assert [call.call_id for call in made] == [f"c{i:02d}" for i in range(1, 38)]
    assert len({call.text for call in made}) == len({call.product for call in made}) == 37
    counts = [len(call.text.split()) for call in made]
    assert all(10 <= count <= 60 for count in counts[:-1])
    assert counts[-1] > 400
    assert {call.voice for call in made} == {"en-us", "en"}


def test_texts_are_plain_sentences() -> None:
    for call in calls.read():
        assert call.text == call.text.strip()
        assert re.fullmatch(r"[A-Za-z ,.?']+[.?]", call.text)


@pytest.mark.weights
def test_recordings_take_every_form_and_sound_alike(tmp_path: Path) -> None:
    import soundfile

    made = [calls.Call(f"c{i}", "van", "en-us", "The red van is late.") for i in range(4)]
    files, seconds = calls.record(made, tmp_path / "recordings")
    assert [file.name for file in files] == ["c0.wav", "c1.flac", "c2.ogg", "c3.mp3"]
    kept = [soundfile.info(file) for file in files]
    assert [(one.samplerate, one.channels) for one in kept] == [(8_000, 1), (44_100, 2), (16_000, 1), (32_000, 1)]
    assert [one.format for one in kept] == ["WAV", "FLAC", "OGG", "MP3"]
    assert all(one.duration == pytest.approx(seconds / 4, abs=0.1) for one in kept)
    left, right = soundfile.read(files[1])[0].T
    assert np.array_equal(left, right)
    assert np.abs(left).max() > 0.1


@pytest.mark.weights
def test_the_broken_file_is_one_that_nothing_decodes(tmp_path: Path) -> None:
    import soundfile

    (file,), _ = calls.record([calls.Call("c1", "van", "en-us", "Late.")], tmp_path)
    broken = calls.break_off(file)
    assert (broken.name, broken.stat().st_size) == ("c00.wav", 20)
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.read(broken)
