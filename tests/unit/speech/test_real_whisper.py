"""Real weights (Whisper tiny.en) beside plain transformers and known texts, in float32."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo import calls, whisper
from demo.speech import say
from demo.words import word_error
from tests import whispering
from tests.shared import JFK, needs_jfk
from tests.whispering import PLAIN, Plain, Samples, spoken

SAID = "And so my fellow Americans ask not what your country can do for you, ask what you can do for your country."
GREEDY = {"temperatures": (0.0,)}

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper.save(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def plain(folder: Path) -> Plain:
    return Plain(folder)


def heard(text: str, voice: str = "en-us") -> Samples:
    """The text as espeak-ng says it, at the rate that Whisper hears."""
    import soxr

    samples, rate = say(text, voice=voice)
    return np.asarray(soxr.resample(samples, rate, 16_000), np.float32)


@pytest.fixture(scope="module")
def story() -> tuple[str, Samples]:
    """The demonstration's long call."""
    call = calls.read()[-1]
    return call.text, heard(call.text)


transcribe = partial(whispering.transcribe, **GREEDY)


@needs_jfk
@pytest.mark.parametrize("timestamps", ["none", "segments", "words"])
def test_kennedy_is_heard(folder: Path, timestamps: str) -> None:
    (row,) = transcribe(folder, [JFK.read_bytes()], timestamps=timestamps)

    assert word_error(SAID, row["text"]) == 0
    assert row["language"] == "en"
    assert row["duration_s"] == pytest.approx(11, abs=0.01)
    assert bool(row["segments"]) == (timestamps != "none")
    assert [word["word"] for word in row["words"]] == (row["text"].split() if timestamps == "words" else [])


def test_short_files_equal_plain_transformers(folder: Path, plain: Plain) -> None:
    clips = [heard(call.text) for call in calls.read()[:6]]

    found = transcribe(folder, clips)

    for row, clip in zip(found, clips, strict=True):
        assert spoken(row) == plain.segments(clip, **PLAIN)
        assert row["text"] == plain.text(clip, return_timestamps=True, **PLAIN)


def test_words_equal_the_pipeline(folder: Path, plain: Plain) -> None:
    from transformers import pipeline

    clip = heard(calls.read()[1].text)
    asr = pipeline(
        "automatic-speech-recognition",
        model=plain.model,
        tokenizer=plain.tokenizer,
        feature_extractor=plain.extractor,
        dtype="float32",
    )
    expected = asr(clip.copy(), return_timestamps="word", generate_kwargs={"num_beams": 1})["chunks"]

    (row,) = transcribe(folder, [clip], timestamps="words", logprob_threshold=None)

    assert [(one["word"], one["start"], one["end"]) for one in row["words"]] == [
        (one["text"].strip(), *one["timestamp"]) for one in expected
    ]


@pytest.fixture(scope="module")
def in_sequence(folder: Path, story: tuple[str, Samples]) -> list[dict[str, Any]]:
    """The long call, and its first 47 s beside it."""
    _, samples = story
    return transcribe(folder, [samples, samples[: 16_000 * 47]], long_form="sequential")


def test_a_long_file_read_in_sequence_equals_plain_transformers(
    plain: Plain, story: tuple[str, Samples], in_sequence: list[dict[str, Any]]
) -> None:
    assert spoken(in_sequence[0]) == plain.segments(story[1], condition_on_prev_tokens=False, **PLAIN)


def test_windows_that_know_the_text_before_equal_plain_transformers(
    folder: Path, plain: Plain, story: tuple[str, Samples]
) -> None:
    samples = story[1][: 16_000 * 70]
    expected = plain.segments(samples, condition_on_prev_tokens=True, **PLAIN)

    both = transcribe(folder, [samples, samples[: 16_000 * 47]], long_form="sequential", condition_on_previous=True)

    assert spoken(both[0]) == expected


def test_fast_is_as_right_as_sequential(
    folder: Path,
    story: tuple[str, Samples],
    in_sequence: list[dict[str, Any]],
    record_testsuite_property: Any,
) -> None:
    text, samples = story

    fast = word_error(text, transcribe(folder, [samples], long_form="fast")[0]["text"])
    sequential = word_error(text, in_sequence[0]["text"])

    record_testsuite_property("word_error_fast", fast)
    record_testsuite_property("word_error_sequential", sequential)
    assert fast <= sequential + 0.01


def test_windows_that_overlap_are_as_right(
    folder: Path, story: tuple[str, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same without pauses to cut in: 5 of 30 s are heard twice, and told once."""
    monkeypatch.setattr("engine.speech.windows.pause", lambda *_: None)
    text, samples = story

    (row,) = transcribe(folder, [samples])

    assert word_error(text, row["text"]) <= 0.07
    starts = [one["start"] for one in row["segments"]]
    assert starts == sorted(starts)


def test_silence_and_noise_are_not_words(folder: Path) -> None:
    drawn = np.random.default_rng(0)
    time = np.arange(16_000 * 12) / 16_000
    clips = [
        np.zeros(16_000 * 5, np.float32),
        *(np.asarray(level * drawn.normal(size=16_000 * 12), np.float32) for level in (0.001, 0.01, 0.1)),
        *(np.asarray(0.1 * np.sin(2 * np.pi * hertz * time), np.float32) for hertz in (50, 440)),
    ]

    found = transcribe(folder, clips)

    assert [row["text"] for row in found] == [""] * len(clips)
    assert all(row["no_speech_prob"] is not None for row in found)
