"""Transcripts of CTC models against plain transformers, recording by recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.audio.limits import Limits
from engine.audio.recording import Recording
from engine.audio.stream import Samples, Stream
from engine.batching import Outputs
from engine.errors import ROW_ERROR_CODES, ParameterError, RowError
from engine.models.bundle import make_bundle
from engine.models.load import load
from engine.models.registry import resolve
from engine.speech import ctc
from engine.speech.transcript import Transcript
from engine.tasks.audio import Recordings
from engine.tasks.base import Encoded
from engine.tasks.check import check
from engine.tasks.speech_recognition import SpeechRecognition, SpeechRecognitionParams
from tests import ctc_models

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # of WavLM

RATE = 16_000
KINDS = [
    ("wav2vec2", "group"),
    ("wav2vec2", "layer"),
    ("hubert", "group"),
    ("wavlm", "layer"),
    ("unispeech", "group"),
    ("unispeech-sat", "layer"),
    ("sew", None),
    ("sew-d", None),
    ("data2vec-audio", None),
    ("wav2vec2-conformer", None),
    ("wav2vec2-bert", None),
    ("parakeet_ctc", None),
    ("lasr_ctc", None),
]


class Given(Recording):
    """Samples at the model's rate, in blocks, and what is raised after them."""

    def __init__(self, samples: Samples, error: RowError | None = None) -> None:
        self.samples = samples
        self.error = error

    def sound(self) -> Any:
        raise NotImplementedError  # it is decoded

    def blocks(self, rate: int, channel: int | None, limits: Limits) -> Iterator[Samples]:
        yield from np.array_split(self.samples, max(1, self.samples.size // 7000))
        if self.error is not None:
            raise self.error

    @contextmanager
    def open(self, rate: int, channel: int | None, limits: Limits) -> Iterator[Stream]:
        yield Stream(self.blocks(rate, channel, limits), rate)


def speech(seconds: float, *, seed: int) -> Samples:
    """Tones that change eight times a second, with some noise: letters that a random model tells apart."""
    draw = np.random.default_rng(seed)
    length = round(seconds * RATE)
    steps = np.repeat(draw.uniform(80, 3000, length // 2000 + 1), 2000)[:length]
    loud = np.repeat(draw.uniform(0.05, 0.8, length // 2000 + 1), 2000)[:length]
    tones = loud * np.sin(2 * np.pi * np.cumsum(steps) / RATE)
    return np.asarray(tones + draw.normal(0, 0.01, length), np.float32)


CLIPS = [speech(seconds, seed=i) for i, seconds in enumerate((0.3, 1.31, 0.9, 1.31, 0.0257, 2.0, 0.62, 0.621))]


def task(folder: Path, dtype: str = "float32") -> SpeechRecognition:
    return SpeechRecognition(load(make_bundle(resolve(str(folder)), dtype).path, "cpu"))


def transcripts(made: SpeechRecognition, recordings: Sequence[Recording | Samples], **params: Any) -> list[Any]:
    rows: list[Any] = [one if isinstance(one, Recording) else Given(one) for one in recordings]
    items = np.arange(len(rows))
    encoded = Encoded(
        rows=len(rows),
        lengths=np.zeros(len(rows), np.int32),
        owner=items,
        data=Recordings(rows, SpeechRecognitionParams(**params)),
        seconds=np.zeros(len(rows)),
    )
    return list(made.forward(encoded, items))


def plain(folder: Path) -> Any:
    from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

    return (
        AutoModelForCTC.from_pretrained(folder).eval(),
        AutoFeatureExtractor.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )


def pipe(folder: Path) -> Any:
    from transformers import AutomaticSpeechRecognitionPipeline

    model, features, tokenizer = plain(folder)
    return AutomaticSpeechRecognitionPipeline(model=model, feature_extractor=features, tokenizer=tokenizer)


@pytest.mark.parametrize(("kind", "norm"), KINDS)
def test_short_recordings_in_a_batch_are_heard_as_plain_transformers_hears_each(
    tmp_path: Path, kind: str, norm: str | None
) -> None:
    import torch

    folder = ctc_models.save(tmp_path, kind, norm=norm)
    made = task(folder)
    clips = [clip for clip in CLIPS if clip.size >= made.recognizer.geometry.least]  # type: ignore[attr-defined]
    model, features, tokenizer = plain(folder)
    texts, scores = [], []
    for clip in clips:
        with torch.inference_mode():
            logits = model(**features(clip, sampling_rate=RATE, return_tensors="pt")).logits[0]
        texts.append(tokenizer.decode(logits.argmax(-1)))
        scores.append(logits.softmax(-1).max(-1).values.numpy())
    found = transcripts(made, clips, batch_windows=4)
    assert [one.text for one in found] == texts
    assert [one.duration_s for one in found] == [clip.size / RATE for clip in clips]
    if kind != "lasr_ctc":  # whose tiny model says one letter
        assert len({letter for text in texts for letter in text}) > 5
        assert max(one.tokens for one in found) > 8
    assert {(one.language, one.no_speech_prob, tuple(one.segments)) for one in found} == {(None, None, ())}
    assert transcripts(made, clips, batch_windows=1) == found
    heard = kept_frames(made, clips)
    for want, frames in zip(scores, heard, strict=True):
        np.testing.assert_allclose(frames.probabilities, want, rtol=1e-5, atol=1e-5)


def kept_frames(made: Any, clips: Sequence[Samples], **given: Any) -> list[Any]:
    """The frames of each window of clips, all in one batch where lengths may be mixed."""
    params = SpeechRecognitionParams(**given)
    windows = []
    for i, clip in enumerate(clips):
        with Given(clip).open(RATE, None, params.limits) as stream:
            windows += [window._replace(item=i) for window in made.recognizer._cut(stream, params)]
    together = made.recognizer.geometry.padded
    batches = [windows] if together else [[window] for window in windows]
    return [frames for batch in batches for frames in made.recognizer._frames(batch)]


@pytest.mark.parametrize(("kind", "norm"), [("wav2vec2", "group"), ("wav2vec2", "layer"), ("wav2vec2-bert", None)])
@pytest.mark.parametrize(("window_s", "stride_s"), [(1.0, 0.2), (0.7, 0.1), (0.5, 0.0)])
def test_long_recordings_are_heard_as_the_pipeline_hears_each_in_chunks(
    tmp_path: Path, kind: str, norm: str | None, window_s: float, stride_s: float
) -> None:
    folder = ctc_models.save(tmp_path, kind, norm=norm)
    # without a stride the last window may be too short for a frame, at which the pipeline breaks
    lengths = (3.1, 0.4, 1.0, 1.00006, 5.017, 2.6) if stride_s else (3.1, 0.4, 1.0, 5.05, 2.6)
    clips = [speech(seconds, seed=i) for i, seconds in enumerate(lengths)]
    asr = pipe(folder)
    want = [asr(clip, chunk_length_s=window_s, stride_length_s=stride_s, return_timestamps="word") for clip in clips]
    found = transcripts(task(folder), clips, window_s=window_s, stride_s=stride_s, timestamps="words", batch_windows=3)
    assert [one.text for one in found] == [one["text"] for one in want]
    assert [[word.word for word in one.words] for one in found] == [[w["text"] for w in one["chunks"]] for one in want]
    if stride_s:  # without it the pipeline loses a frame at every seam and its times run behind
        times = [[(word.start, word.end) for word in one.words] for one in found]
        assert times == [[word["timestamp"] for word in one["chunks"]] for one in want]
    assert all(0 < word.score <= 1 and word.end <= one.duration_s + 0.02 for one in found for word in one.words)


@pytest.mark.parametrize("kind", ["wav2vec2", "sew", "wav2vec2-bert", "parakeet_ctc", "lasr_ctc"])
def test_the_frames_of_a_long_recording_are_those_of_it_whole_each_once(tmp_path: Path, kind: str) -> None:
    made = task(ctc_models.save(tmp_path, kind))
    clip = speech(4.01, seed=3)
    [whole], parts = (kept_frames(made, [clip], window_s=window_s, stride_s=0.16) for window_s in (30.0, 1.28))
    at = np.concatenate([frames.at for frames in parts])
    assert len(parts) > 3
    np.testing.assert_array_equal(at, whole.at)


def test_words_are_told_where_they_are_asked_for(tmp_path: Path) -> None:
    made = task(ctc_models.save(tmp_path))
    [without] = transcripts(made, CLIPS[1:2])
    [with_words] = transcripts(made, CLIPS[1:2], timestamps="words")
    assert not without.words
    assert " ".join(word.word for word in with_words.words).split() == without.text.split()


def test_one_sample_and_none_are_silent_and_a_broken_recording_costs_itself(tmp_path: Path) -> None:
    made = task(ctc_models.save(tmp_path))
    sound = transcripts(made, CLIPS[:3])
    broken = RowError("unreadable", "the rest can't be read")
    rows = [CLIPS[0], CLIPS[0][:1], CLIPS[1], CLIPS[0][:0], CLIPS[0][:399], Given(CLIPS[3], broken), CLIPS[2]]
    found = transcripts(made, rows, batch_windows=2)
    assert [found[0], found[2], found[6]] == sound
    assert [found[i] for i in (1, 3, 4)] == [
        Transcript(text="", duration_s=size / RATE, words=[]) for size in (1, 0, 399)
    ]
    assert found[5].code == "unreadable"


def test_numbers_that_are_none_are_errors_of_their_recordings(tmp_path: Path) -> None:
    made = task(ctc_models.save(tmp_path, norm="layer"))
    spoilt = CLIPS[1].copy()
    spoilt[5000] = np.nan
    found = transcripts(made, [CLIPS[0], spoilt, CLIPS[2]])
    assert found[1].code == "non_finite"
    assert [found[0], found[2]] == transcripts(made, [CLIPS[0], CLIPS[2]])


def test_a_batch_that_does_not_fit_the_memory_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = task(ctc_models.save(tmp_path))
    want = transcripts(made, CLIPS)
    logits, sizes = made.recognizer._logits, []  # type: ignore[attr-defined]

    def small(windows: Any) -> Any:
        sizes.append(len(windows))
        if len(windows) > 1 or windows[0].cost == CLIPS[5].size:
            raise MemoryError
        return logits(windows)

    monkeypatch.setattr(made.recognizer, "_logits", small)
    found = transcripts(made, CLIPS)
    assert max(sizes) > 2
    assert found[5].code == "out_of_memory"
    assert ROW_ERROR_CODES[found[5].code]
    assert found[:5] + found[6:] == want[:5] + want[6:]


def test_few_windows_wait_however_long_the_recordings_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch holds so many windows of the asked length, or as much of shorter ones; a pool of them 4 s here."""
    monkeypatch.setattr(ctc, "_SECONDS", {"cpu": (1, 4)})
    made = task(ctc_models.save(tmp_path))
    cut, frames = made.recognizer._cut, made.recognizer._frames  # type: ignore[attr-defined]
    sizes, taken, waiting = [], [0], []

    def counted(stream: Any, params: Any) -> Any:
        for window in cut(stream, params):
            taken[0] += 1
            yield window

    def sized(windows: Any) -> Any:
        sizes.append(len(windows))
        waiting.append(taken[0] - sum(sizes))
        return frames(windows)

    monkeypatch.setattr(made.recognizer, "_cut", counted)
    monkeypatch.setattr(made.recognizer, "_frames", sized)
    transcripts(made, [speech(12, seed=i) for i in range(3)], window_s=0.5, stride_s=0.1, batch_windows=2)
    assert max(sizes) <= 3  # of the shorter last ones
    assert sum(sizes) == 3 * 40
    assert max(waiting) <= 8 + 16 + 2 + 1  # in the pool, ahead, and one more in the hands of each thread


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"language": "en"}, "no language"),
        ({"speech_task": "translate"}, "no speech_task"),
        ({"initial_prompt": "a", "long_form": "sequential"}, "no long_form and no initial_prompt"),
        ({"window_s": 10.0}, "stride_s of less than half"),
        ({"window_s": 0.01, "stride_s": 0.0}, "window_s of 0.025 or more"),
    ],
)
def test_what_is_meant_for_whisper_is_refused_on_the_driver(tmp_path: Path, params: dict[str, Any], named: str) -> None:
    folder = ctc_models.save(tmp_path / "model")
    bundle = make_bundle(resolve(str(folder)), "float32")
    with pytest.raises(ParameterError, match=named):
        check("automatic-speech-recognition", bundle, params, root=tmp_path)


def test_the_structs_hold_what_was_heard(tmp_path: Path) -> None:
    made = task(ctc_models.save(tmp_path))
    found = transcripts(made, [CLIPS[1]], timestamps="words")
    outputs = Outputs(1)
    outputs.put(np.arange(1), found)
    [row] = made.decode(None, np.arange(1), outputs.take(np.arange(1)), None).to_pylist()  # type: ignore[arg-type]
    assert row["text"] == found[0].text
    assert [word["word"] for word in row["words"]] == [word.word for word in found[0].words]
    assert (row["language"], row["no_speech_prob"], row["segments"]) == (None, None, [])
