"""Whisper beside plain transformers, file by file: tiny random weights, float32."""

from __future__ import annotations

import gc
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import ModelError, ParameterError
from engine.options import Column
from engine.speech.clip import Heard
from engine.speech.sound import Spooled
from engine.tasks.speech_recognition import SpeechRecognitionParams
from tests import speech_models, whispering
from tests.scoring import scorer
from tests.whispering import Plain, noise, spoken, wav

TASK = "automatic-speech-recognition"
GREEDY = {"temperatures": (0.0,), "language": "en"}
UNTIMED = {"timestamps": "none"}
#: The same in transformers' words.
PLAIN = {**whispering.PLAIN, "language": "en", "task": "transcribe"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speech_models.save(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def plain(folder: Path) -> Plain:
    return Plain(folder)


transcribe = partial(whispering.transcribe, **GREEDY)


@pytest.mark.parametrize("mode", ["fast", "sequential"])
def test_short_files_without_timestamps(folder: Path, plain: Plain, mode: str) -> None:
    clips = [noise(seconds, seed=i) for i, seconds in enumerate((3.0, 12.34, 30.0))]

    found = transcribe(folder, clips, timestamps="none", long_form=mode)

    assert [row["error"] for row in found] == [None] * 3
    assert [row["text"] for row in found] == [plain.text(clip, **PLAIN) for clip in clips]
    assert [row["duration_s"] for row in found] == pytest.approx([3.0, 12.34, 30.0])
    assert all(row["segments"] == row["words"] == [] and row["language"] == "en" for row in found)


@pytest.mark.parametrize("mode", ["fast", "sequential"])
def test_segments_of_short_files(folder: Path, plain: Plain, mode: str) -> None:
    clips = [noise(30.0, seed=i) for i in range(3)]

    found = transcribe(folder, clips, long_form=mode)

    for row, clip in zip(found, clips, strict=True):
        assert spoken(row) == plain.segments(clip, **PLAIN)
        assert row["text"] == plain.text(clip, return_timestamps=True, **PLAIN)


@pytest.mark.parametrize(
    ("params", "settings"),
    [
        ({}, {}),
        ({"condition_on_previous": True}, {"condition_on_prev_tokens": True}),
        ({"logprob_threshold": None}, {"logprob_threshold": -99.0}),
        (
            {"no_speech_threshold": 0.0, "logprob_threshold": -2.0},
            {"no_speech_threshold": 0.0, "logprob_threshold": -2.0},
        ),
        ({"speech_task": "translate", "language": "german"}, {"task": "translate", "language": "de"}),
    ],
)
def test_long_files_read_in_sequence_share_batches_and_equal_transformers(
    folder: Path, plain: Plain, params: dict[str, Any], settings: dict[str, Any]
) -> None:
    clips = [noise(seconds, seed=i) for i, seconds in enumerate((65.437, 40.0))]

    found = transcribe(folder, clips, long_form="sequential", **params)

    for row, clip in zip(found, clips, strict=True):
        assert row["error"] is None
        assert spoken(row) == plain.segments(clip, **{**PLAIN, **settings})
        assert row["text"] == plain.text(clip, return_timestamps=True, **{**PLAIN, **settings})


@pytest.mark.parametrize("condition", [False, True])
def test_an_initial_prompt(folder: Path, plain: Plain, condition: bool) -> None:
    import torch

    clip = noise(50.0, seed=4)
    prompt = torch.tensor(plain.tokenizer.get_prompt_ids("many people find water"))
    settings = {**PLAIN, "prompt_ids": prompt, "condition_on_prev_tokens": condition}

    (row,) = transcribe(
        folder,
        [clip],
        long_form="sequential",
        initial_prompt="many people find water",
        condition_on_previous=condition,
    )

    assert spoken(row) == plain.segments(clip, **settings)


def test_words_are_timed_as_by_the_pipeline(folder: Path, plain: Plain) -> None:
    from transformers import pipeline

    clip = noise(30.0, seed=2)
    asr = pipeline(
        "automatic-speech-recognition",
        model=plain.model,
        tokenizer=plain.tokenizer,
        feature_extractor=plain.extractor,
        dtype="float32",
    )
    expected = asr(
        clip.copy(), return_timestamps="word", generate_kwargs={**PLAIN, "num_beams": 1, "logprob_threshold": -99.0}
    )["chunks"]

    (row,) = transcribe(folder, [clip], timestamps="words", logprob_threshold=None)

    assert row["words"]
    assert [(w["word"], w["start"], w["end"]) for w in row["words"]] == [
        (w["text"].strip(), *w["timestamp"]) for w in expected if w["text"].strip()
    ]
    assert all(0 < word["score"] <= 1 for word in row["words"])


def test_language_is_detected_for_each_recording(folder: Path, plain: Plain) -> None:
    clips = [noise(seconds, seed=i) for i, seconds in enumerate((5.0, 70.0, 8.0))]
    codes = {token: name.strip("<|>") for name, token in plain.model.generation_config.lang_to_id.items()}
    expected = [
        codes[int(plain.model.detect_language(plain.features(clip).input_features)[0])] for clip in (clips[0], clips[2])
    ]

    found = transcribe(folder, clips, language=None, no_speech_threshold=None)

    assert [found[0]["language"], found[2]["language"]] == expected
    assert found[1]["language"] in codes.values()
    assert found[0]["text"] == transcribe(folder, clips[:1], language=expected[0])[0]["text"]


def test_silence_is_not_given_to_the_model(folder: Path) -> None:
    silence, quiet = np.zeros(16_000, np.float32), noise(40) * 1e-6

    found = transcribe(folder, [silence, quiet, np.zeros(0, np.float32)])

    assert [(row["text"], row["segments"], row["tokens"]) for row in found] == [("", [], 0)] * 3
    assert [row["no_speech_prob"] for row in found] == [1.0, 1.0, None]
    assert [row["duration_s"] for row in found] == [1.0, 40.0, 0.0]
    assert (
        transcribe(folder, [silence], silence_threshold=None, steady_db=None, logprob_threshold=None)[0]["tokens"] > 0
    )


def test_answers_drawn_by_chance_depend_on_what_is_heard_alone(folder: Path) -> None:
    clips = [noise(4.0, seed=i) for i in range(3)]
    params = {"temperatures": (0.0, 0.7), "logprob_threshold": -0.01, "no_speech_threshold": None}

    together = transcribe(folder, clips, **params)
    alone = [transcribe(folder, [clip], **params)[0] for clip in clips]

    assert [(row["text"], row["tokens"]) for row in together] == [(row["text"], row["tokens"]) for row in alone]
    assert [row["text"] for row in transcribe(folder, clips, seed=7, **params)] != [row["text"] for row in together]


def test_a_file_that_breaks_half_way_is_an_error_of_its_row(folder: Path) -> None:
    whole = wav(noise(3.0))

    found = transcribe(folder, [whole, b"no recording", noise(3.0)])

    assert found[0]["error"] is None
    assert found[0]["text"] == found[2]["text"]
    assert found[1]["error"]["code"] == "invalid_audio"


@pytest.mark.parametrize(
    ("params", "words"),
    [({"language": "klingon"}, "language"), ({"initial_prompt": "<|nospeech|>"}, "initial_prompt")],
)
def test_parameters_that_the_model_does_not_take(folder: Path, params: dict[str, Any], words: str) -> None:
    (row,) = transcribe(folder, [noise(1.0)], **params)

    assert row["error"]["code"] == "invalid_parameter"
    assert words in row["error"]["message"]


def test_a_model_of_english_alone(tmp_path: Path) -> None:
    folder = speech_models.save(tmp_path / "english", multilingual=False)
    clip = noise(6.0)

    (row,) = transcribe(folder, [clip], language=None, timestamps="none")

    expected = Plain(folder).text(clip, **{k: v for k, v in PLAIN.items() if k not in ("language", "task")})
    assert (row["text"], row["language"]) == (expected, "en")
    assert transcribe(folder, [clip], language="de")[0]["error"]["code"] == "invalid_parameter"
    assert transcribe(folder, [clip], speech_task="translate")[0]["error"]["code"] == "invalid_parameter"
    assert transcribe(folder, [clip], language="english", timestamps="none")[0]["text"] == expected


def test_a_generation_configuration_without_time_stamps_writes_text_alone(tmp_path: Path) -> None:
    folder = speech_models.save(tmp_path / "old", settings={"no_timestamps_token_id": None})
    clip = noise(31.0)

    (found,) = transcribe(folder, [clip], timestamps="none")
    refused = [transcribe(folder, [clip], **params)[0] for params in ({}, {**UNTIMED, "long_form": "sequential"})]

    assert (found["error"], found["duration_s"]) == (None, 31.0)
    assert [row["error"]["code"] for row in refused] == ["invalid_parameter"] * 2
    assert "no_timestamps_token_id" in refused[0]["error"]["message"]


def test_a_generation_configuration_that_is_not_followed_is_refused_when_the_model_is_loaded(tmp_path: Path) -> None:
    folder = speech_models.save(tmp_path / "other", settings={"no_repeat_ngram_size": 3})

    with pytest.raises(ModelError, match="no_repeat_ngram_size is 3"):
        transcribe(folder, [noise(1.0)])


def test_a_model_that_was_trained_on_one_language_hears_it(tmp_path: Path) -> None:
    folder = speech_models.save(tmp_path / "german", settings={"language": "german"})
    clip = noise(5.0)

    (row,) = transcribe(folder, [clip], language=None, **UNTIMED)

    assert row["language"] == "de"
    settings = {k: v for k, v in PLAIN.items() if k != "language"}
    assert row["text"] == Plain(folder).text(clip, **settings)
    assert transcribe(folder, [clip], language="fr")[0]["language"] == "fr"


def test_languages_are_detected_where_the_generation_configuration_lists_none(tmp_path: Path, folder: Path) -> None:
    old = speech_models.save(tmp_path / "old", settings={"lang_to_id": None, "task_to_id": None})
    clips = [noise(5.0, seed=seed) for seed in range(3)]

    found = transcribe(old, clips, language=None, **UNTIMED)

    assert [(row["language"], row["text"]) for row in found] == [
        (row["language"], row["text"]) for row in transcribe(folder, clips, language=None, **UNTIMED)
    ]
    assert {row["language"] for row in found} != {"en"}


def test_a_column_of_languages_may_hold_nulls(folder: Path) -> None:
    clips = [noise(5.0, seed=seed) for seed in range(3)]
    params = {**GREEDY, **UNTIMED, "language": Column("spoken")}
    made = scorer(folder, task=TASK, params=params, inputs=("audio",))
    table = pa.record_batch({"audio": [wav(clip) for clip in clips], "spoken": ["de", None, "klingon"]})

    found = [row for one in made.score([table]) for row in one.result.to_pylist()]

    assert found[0] == transcribe(folder, clips[:1], **UNTIMED, language="de")[0]
    assert found[1] == transcribe(folder, clips[1:2], **UNTIMED, language=None)[0]
    assert found[2]["error"]["code"] == "invalid_parameter"


@pytest.mark.parametrize("mode", ["fast", "sequential"])
def test_a_lost_device_leaves_no_thread_and_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    def lost(*args: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    before = nameless()
    monkeypatch.setattr("engine.speech.hearing.Hearing.hear", lost)
    with pytest.raises(RuntimeError, match="CUDA error"):
        transcribe(folder, [noise(61.0, seed=seed) for seed in range(6)], long_form=mode, batch_windows=2)

    gc.collect()
    assert not [one for one in threading.enumerate() if one.name.startswith("embercast-audio")]
    assert nameless() <= before


def nameless() -> set[str]:
    """Open files without a name."""
    found = set()
    for one in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(one.readlink()))
    return {one for one in found if one.endswith("(deleted)")}


def test_few_long_recordings_lie_on_the_disk_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a batch, two that wait and one in the hand of each of two readers."""
    held, most = [0], [0]

    class Counted(Spooled):
        def __init__(self, *args: Any) -> None:
            held[0] += 1
            most[0] = max(most[0], held[0])
            super().__init__(*args)

        def close(self) -> None:
            held[0] -= 1
            super().close()

    def hear(self: Any, clips: list[Any], languages: list[Any]) -> list[Heard]:
        time.sleep(0.2)  # readers are far ahead
        return [Heard(None, silent=True) for _ in clips]

    monkeypatch.setattr("engine.speech.whisper.Spooled", Counted)
    monkeypatch.setattr("engine.speech.hearing.Hearing.hear", hear)
    found = transcribe(folder, [noise(31.0, seed=seed) for seed in range(14)], long_form="sequential", batch_windows=4)

    assert [row["error"] for row in found] == [None] * 14
    assert (held[0], most[0] <= 8) == (0, True)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens of at least 1, got 0"),
        ({"temperatures": ()}, "at least one"),
        ({"temperatures": (0.0, float("inf"))}, "finite"),
        ({"temperatures": (float("nan"),)}, "finite"),
    ],
)
def test_parameters_that_no_model_takes(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SpeechRecognitionParams(**params)
