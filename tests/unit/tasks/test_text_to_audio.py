"""Spoken texts: as plain transformers speaks them row by row, whatever they are batched with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from engine.errors import ModelError, ParameterError, UnsupportedTaskError
from engine.generation.sampling import keys
from engine.models.bundle import make_bundle
from engine.models.registry import resolve
from engine.options import Column, Compute, Request
from engine.scorer import Scorer
from engine.tasks.check import check
from engine.tasks.text_to_audio import TextToAudio, TextToAudioParams
from engine.voice.noise import generator, normals
from tests import scoring, speech

TEXTS = ["a good day", "no", "they were not there when the water came", "say how", "i", "Which WAY, please?", "no"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VITS whose durations are drawn by chance too, of three speakers."""
    made = tmp_path_factory.mktemp("vits")
    several = {"num_speakers": 3, "speaker_embedding_size": 6}
    return speech.save(made, noise=0.7, use_stochastic_duration_prediction=True, **several)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VITS without chance."""
    return speech.save(tmp_path_factory.mktemp("still"))


@pytest.fixture(scope="module")
def fastspeech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fastspeech")
    return speech.save_fastspeech(made, num_speakers=2, speaker_embed_dim=4)


@pytest.fixture(scope="module")
def speecht5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speech.save_speecht5(tmp_path_factory.mktemp("speecht5"))


def speak(folder: Path, texts: Sequence[Any] = TEXTS, *, batch_tokens: int = 10**6, **params: Any) -> list[Any]:
    made = scoring.scorer(
        folder, task="text-to-audio", batch_tokens=batch_tokens, params={"encoding": "float", **params}
    )
    return scoring.rows(made, text=texts)


def sounds(found: list[Any]) -> list[Any]:
    assert [row["error"] for row in found] == [None] * len(found)
    return [speech.samples(row["audio"]) for row in found]


def plain_vits(folder: Path, texts: Sequence[str] = TEXTS, *, speaker: int | None = None, **scales: float) -> list[Any]:
    model = transformers.VitsModel.from_pretrained(folder).eval()
    for name, value in scales.items():
        setattr(model, name, value)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        made = [model(**tokenizer(text, return_tensors="pt"), speaker_id=speaker) for text in texts]
    return [one.waveform[0, : int(one.sequence_lengths[0])].numpy() for one in made]


def assert_near(found: Sequence[Any], expected: Sequence[Any], within: float = 1e-4) -> None:
    assert [one.size for one in found] == [one.size for one in expected]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=within)
    assert len({one.tobytes() for one in found}) > len(found) // 2
    assert all(np.abs(one).max() > 1e-3 for one in found)


@pytest.mark.parametrize("batch_tokens", [1, 100, 10**6])
def test_vits_equals_plain_transformers_whatever_the_batch(still: Path, batch_tokens: int) -> None:
    found = speak(still, batch_tokens=batch_tokens)
    assert_near(sounds(found), plain_vits(still))
    assert {row["sampling_rate"] for row in found} == {8000}
    assert [row["duration_s"] for row in found] == [one.size / 8000 for one in sounds(found)]
    assert [row["tokens"] for row in found[:2]] == [2 * 10 + 1, 2 * 2 + 1]  # a blank between letters, and around them
    assert not any(row["truncated"] for row in found)


def test_vits_equals_the_pipeline(still: Path) -> None:
    pipeline = transformers.pipeline("text-to-audio", model=str(still), device="cpu")
    expected = pipeline(TEXTS[0])
    [found] = speak(still, TEXTS[:1])
    np.testing.assert_allclose(speech.samples(found["audio"]), expected["audio"], atol=1e-4)
    assert found["sampling_rate"] == expected["sampling_rate"]


@pytest.mark.parametrize("speaker", [None, 0, 2])
def test_speakers_and_rates_are_those_of_transformers(folder: Path, speaker: int | None) -> None:
    scales = {"noise_scale": 0.0, "noise_scale_duration": 0.0, "speaking_rate": 1.7}
    found = sounds(speak(folder, speaker_id=speaker, **scales))
    assert_near(found, plain_vits(folder, speaker=speaker, **scales))


def test_batches_of_the_vocoder_and_pieces_change_nothing(still: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = scoring.scorer(still, task="text-to-audio", params={"encoding": "float"}, batch_tokens=10**6)
    made.task.voice.frames = 10**6  # type: ignore[attr-defined]  # as on a GPU
    expected = plain_vits(still)
    assert_near(sounds(scoring.rows(made, text=TEXTS)), expected)
    monkeypatch.setattr("engine.voice.hifigan.PIECE", 11)
    assert_near(sounds(scoring.rows(made, text=TEXTS)), expected)
    made.task.voice.frames = 1  # type: ignore[attr-defined]
    assert_near(sounds(scoring.rows(made, text=TEXTS)), expected)


def test_the_noise_is_that_of_the_row(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain transformers, whose noise is replaced by the row's own numbers."""
    found = sounds(speak(folder, seed=5))
    own = {text: next(keys([text], [5], TextToAudioParams())) for text in TEXTS}
    for text, one in zip(TEXTS, found, strict=True):

        def drawn(length: int, channels: int, stream: int, text: str = text) -> Any:
            made = normals([own[text]], np.array([length]), channels, stream=stream)
            return torch.from_numpy(made).transpose(1, 2)

        with monkeypatch.context() as patch:
            patch.setattr(torch, "randn", lambda rows, channels, length: drawn(length, channels, 1))
            patch.setattr(torch, "randn_like", lambda like: drawn(like.shape[2], like.shape[1], 2))
            [expected] = plain_vits(folder, [text])
        assert one.size == expected.size
        np.testing.assert_allclose(one, expected, atol=1e-4)


def test_a_seed_sounds_the_same_alone_and_in_any_batch(folder: Path) -> None:
    together = sounds(speak(folder, seed=5))
    alone = [sounds(speak(folder, [text], seed=5))[0] for text in TEXTS]
    backwards = sounds(speak(folder, TEXTS[::-1], seed=5, batch_tokens=60))[::-1]
    assert_near(together, alone)
    assert_near(backwards, alone)


def test_seeds_and_without_one_the_parameters_decide(folder: Path) -> None:
    def heard(**params: Any) -> bytes:
        return bytes(speak(folder, TEXTS[:1], **params)[0]["audio"])

    assert heard(seed=1) == heard(seed=1) != heard(seed=2)
    assert heard() == heard() != heard(noise_scale=0.6)
    quiet = {"noise_scale": 0, "noise_scale_duration": 0}
    assert heard(seed=1, **quiet) == heard(seed=2, **quiet)


def test_a_seed_of_each_row_shares_its_batch(folder: Path) -> None:
    task = scoring.scorer(folder, task="text-to-audio").task
    request = Request(inputs={"text": "text"}, params={"seed": Column("own"), "encoding": "float"})
    made = Scorer(task, request, batch_tokens=10**6, compute=Compute())
    windows = scoring.windows(made, text=["a good day"] * 4, own=[1, 2, None, 2])
    assert sum(one.stats.batches for one in windows) == 1
    found = sounds([row for one in windows for row in one.result.to_pylist()])
    seeds: list[int | None] = [1, 2, None, 2]
    assert_near(found, [sounds(speak(folder, ["a good day"], seed=seed))[0] for seed in seeds])
    [word] = scoring.windows(made, text=["a good day"], own=["one"])
    assert word.result.to_pylist()[0]["error"]["code"] == "invalid_parameter"


def test_sixteen_bits_are_the_default_and_near_the_floats(still: Path) -> None:
    import io

    import soundfile

    exact = sounds(speak(still))
    found = speak(still, encoding="pcm_16")
    for row, samples in zip(found, exact, strict=True):
        info = soundfile.info(io.BytesIO(row["audio"]))
        assert (info.format, info.subtype, info.channels, info.samplerate) == ("WAV", "PCM_16", 1, 8000)
        np.testing.assert_allclose(speech.samples(row["audio"]), samples, atol=1e-4)
        assert len(row["audio"]) == 44 + 2 * samples.size


def test_a_long_one_is_cut_and_flagged_or_an_error(still: Path) -> None:
    whole = sounds(speak(still))
    limit = 1300
    cut = speak(still, max_duration_s=limit / 8000)
    assert [row["truncated"] for row in cut] == [one.size > limit for one in whole]
    assert {row["truncated"] for row in cut} == {True, False}
    assert [speech.samples(row["audio"]).size for row in cut] == [min(one.size, limit) for one in whole]
    assert [row["duration_s"] for row in cut] == [min(one.size, limit) / 8000 for one in whole]
    for row, one in zip(cut, whole, strict=True):
        # A frame is as its neighbours make it, and behind the cut there are none.
        np.testing.assert_allclose(speech.samples(row["audio"])[: limit // 4], one[: limit // 4], atol=1e-4)
    failed = speak(still, max_duration_s=limit / 8000, long_text="error")
    assert [row["error"] and row["error"]["code"] for row in failed] == [
        "too_long" if one.size > limit else None for one in whole
    ]


def test_a_text_is_no_longer_than_what_may_be_heard_of_it(still: Path) -> None:
    """Attention grows with the square of its tokens: those behind the last second are not read."""
    [row] = speak(still, ["so " * 3000], max_duration_s=1)
    assert (row["tokens"], row["duration_s"], row["truncated"]) == (8000 // 16 + 1, 1.0, True)
    [row] = speak(still, ["so " * 3000], max_duration_s=1, long_text="error")
    assert row["error"]["code"] == "too_long"


def test_a_text_of_many_tokens_is_cut(still: Path) -> None:
    [cut] = speak(still, TEXTS[2:3], max_length=21)
    assert (cut["tokens"], cut["truncated"]) == (21, True)
    [failed] = speak(still, TEXTS[2:3], max_length=21, long_text="error")
    assert failed["error"]["code"] == "too_long"


@pytest.mark.parametrize("text", ["", "  ", "😀", "שלום", "12 34"])
def test_what_can_not_be_spoken_is_an_error_of_its_row(still: Path, text: str) -> None:
    found = speak(still, [TEXTS[0], text, None, TEXTS[2]])
    assert found[2] is None
    assert found[1]["error"]["code"] == "encode_failed"
    assert_near(sounds([found[0], found[3]]), plain_vits(still, [TEXTS[0], TEXTS[2]]))


def test_durations_that_are_no_numbers_cost_their_rows(tmp_path: Path) -> None:
    still = speech.save(tmp_path / "model")
    model = transformers.VitsModel.from_pretrained(still)
    with torch.no_grad():
        model.text_encoder.embed_tokens.weight[1] = float("nan")  # the letter a
    model.save_pretrained(still)
    found = speak(still, ["so", "sad", "no"])
    assert [row["error"] and row["error"]["code"] for row in found] == [None, "non_finite", None]
    assert_near(sounds([found[0], found[2]]), plain_vits(still, ["so", "no"]))


def test_endless_durations_are_cut(tmp_path: Path) -> None:
    still = speech.save(tmp_path / "model")
    model = transformers.VitsModel.from_pretrained(still)
    with torch.no_grad():
        model.duration_predictor.proj.bias.fill_(60.0)
    model.save_pretrained(still)
    [row] = speak(still, ["so"], max_duration_s=1.5)
    assert (row["duration_s"], row["truncated"]) == (1.5, True)


def test_fastspeech_equals_plain_transformers(fastspeech: Path) -> None:
    model = transformers.FastSpeech2ConformerWithHifiGan.from_pretrained(fastspeech).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(fastspeech)
    voice = [0.5, -1.0, 2.0, 0.25]
    given = {"speaker_ids": torch.tensor([1]), "speaker_embedding": torch.tensor([voice])}
    with torch.no_grad():
        expected = [model(**tokenizer(text, return_tensors="pt"), **given).waveform[0].numpy() for text in TEXTS]
    assert_near(sounds(speak(fastspeech, speaker_id=1, speaker_embedding=voice)), expected)
    assert not np.array_equal(sounds(speak(fastspeech, TEXTS[:1]))[0], expected[0])
    with pytest.raises(ModelError, match="expected dtype float32 for fastspeech2_conformer"):
        scoring.scorer(fastspeech, task="text-to-audio", dtype="bfloat16")


def plain_speecht5(folder: Path, texts: Sequence[str], speaker: Sequence[float]) -> list[Any]:
    model = transformers.SpeechT5ForTextToSpeech.from_pretrained(folder).eval()
    vocoder = transformers.SpeechT5HifiGan.from_pretrained(folder / "vocoder").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    made = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        made.append(model.generate_speech(ids, torch.tensor([speaker]), vocoder=vocoder).numpy())
    return made


def test_speecht5_equals_plain_transformers(tmp_path: Path) -> None:
    folder = speech.save_speecht5(tmp_path / "model", speech_decoder_prenet_dropout=0.0)
    voice = [0.5, -1.0, 2.0, 0.25]
    found = sounds(speak(folder, speaker_embedding=voice))
    assert_near(found, plain_speecht5(folder, TEXTS, voice))
    assert not TextToAudio.draws({}, make_bundle(resolve(str(folder)), "float32").path)


def test_speecht5_drops_by_the_numbers_of_the_row(speecht5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain transformers, whose chance is replaced by the row's own numbers: all positions are dropped alike."""
    voice = [0.5, -1.0, 2.0, 0.25]
    together = sounds(speak(speecht5, speaker_embedding=voice, seed=3))
    alone = [sounds(speak(speecht5, [text], speaker_embedding=voice, seed=3))[0] for text in TEXTS]
    assert_near(together, alone, within=1e-5)
    for text, one in zip(TEXTS[:3], together, strict=False):
        numbers = generator(next(keys([text], [3], TextToAudioParams())))

        def drawn(like: Any, *, p: float, numbers: Any = numbers) -> Any:
            return torch.from_numpy(numbers.random(like.shape[-1]) < p).to(like.dtype).expand(like.shape)

        with monkeypatch.context() as patch:
            patch.setattr(torch, "bernoulli", drawn)
            [expected] = plain_speecht5(speecht5, [text], voice)
        np.testing.assert_allclose(one, expected, atol=1e-4)
    other = sounds(speak(speecht5, TEXTS[:1], speaker_embedding=voice, seed=4))[0]
    assert other.size != alone[0].size or not np.allclose(other, alone[0], atol=1e-3)


def test_a_speaker_of_each_row(speecht5: Path) -> None:
    task = scoring.scorer(speecht5, task="text-to-audio", params={"speaker_embedding": [1.0, 0, 0, 0]}).task
    params = {"speaker_embedding": Column("who", default=[0.5, 0, 0, 1]), "encoding": "float"}
    made = Scorer(task, Request(inputs={"text": "text"}, params=params), batch_tokens=10**6, compute=Compute())
    voices: list[Any] = [[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, -1.0], None, [1.0], [1.0, None, 0.0, 1.0]]
    windows = scoring.windows(made, text=["a good day"] * 5, who=voices)
    found = [row for one in windows for row in one.result.to_pylist()]
    expected = [
        sounds(speak(speecht5, ["a good day"], speaker_embedding=one))[0] for one in (*voices[:2], [0.5, 0.0, 0.0, 1.0])
    ]
    assert_near(sounds(found[:3]), expected)
    assert [row["error"]["code"] for row in found[3:]] == ["invalid_parameter"] * 2


def refused(folder: Path, **params: Any) -> str:
    """What the driver says before any row is read."""
    ref = resolve(str(folder), task="text-to-audio")
    with pytest.raises(ParameterError) as caught:
        check(ref.task, make_bundle(ref, "float32"), params)
    return str(caught.value)


def test_what_a_model_does_not_take_is_refused_on_the_driver(
    still: Path, speecht5: Path, folder: Path, tmp_path: Path
) -> None:
    fine = speech.save(tmp_path, sampling_rate=48_000)
    assert "this model has no speaker_embedding; it takes noise_scale," in refused(still, speaker_embedding=[1.0])
    assert "expected speaker_id below 0" in refused(still, speaker_id=0)
    assert "expected speaker_id below 3" in refused(folder, speaker_id=3)
    assert refused(fine, max_duration_s=200) == (
        "expected max_duration_s of 174 at most for a model of 48000 samples a second"
    )
    assert "give speaker_embedding, 4 numbers" in refused(speecht5)
    assert "expected a speaker_embedding of 4 finite numbers" in refused(speecht5, speaker_embedding=[1.0])
    voice = [1.0, 0.0, 0.0, 0.0]
    assert "this model has no noise_scale; it takes speaker_embedding" in refused(
        speecht5, noise_scale=0.5, speaker_embedding=voice
    )


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"speaking_rate": 0}, "expected speaking_rate to be null or above 0, got 0"),
        ({"noise_scale": -1}, "expected noise_scale to be null or at least 0, got -1"),
        ({"max_duration_s": 0}, "expected max_duration_s above 0, 300 at most, got 0"),
        ({"max_duration_s": 301}, "expected max_duration_s above 0, 300 at most, got 301"),
        ({"max_duration_s": Column("own")}, "expected max_duration_s to be a value for all rows, got a column"),
        ({"encoding": "mp3"}, "expected encoding to be pcm_16 or float"),
    ],
)
def test_parameters_out_of_range(still: Path, params: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        scoring.scorer(still, task="text-to-audio", params=params)


def test_a_folder_says_that_it_speaks(still: Path, fastspeech: Path, speecht5: Path) -> None:
    assert {resolve(str(folder)).task for folder in (still, fastspeech, speecht5)} == {"text-to-audio"}


def test_models_that_nothing_speaks_for_are_refused(tmp_path: Path) -> None:
    speech.save(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace("VitsModel", "BarkModel"))
    with pytest.raises(UnsupportedTaskError, match=r"expected an architecture …VitsModel or …Fast.*is BarkModel"):
        resolve(str(tmp_path), task="text-to-speech")


def test_speecht5_without_its_vocoder_is_refused(tmp_path: Path) -> None:
    folder = speech.save_speecht5(tmp_path / "model", vocoder=False)
    with pytest.raises(ModelError, match=r"expected a vocoder for SpeechT5.*in a folder named vocoder"):
        scoring.scorer(folder, task="text-to-audio", params={"speaker_embedding": [1.0, 0, 0, 0]})


def test_a_vocoder_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = speech.save_speecht5(tmp_path / "model", num_mel_bins=10)
    with pytest.raises(ModelError, match="expected a vocoder of 10 bins, as the model makes, got one of 8"):
        scoring.scorer(folder, task="text-to-audio", params={"speaker_embedding": [1.0, 0, 0, 0]})


def test_tokenizers_that_lack_a_package_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.utils.is_uroman_available", lambda: False)
    speech.save(tmp_path / "uroman")
    speech.tokenizer(tmp_path / "uroman", is_uroman=True)
    with pytest.raises(ModelError, match=r"expected the package uroman.*pip install uroman"):
        scoring.scorer(tmp_path / "uroman", task="text-to-audio")
    speech.save(tmp_path / "phonemes")
    speech.tokenizer(tmp_path / "phonemes", phonemize=True)
    with pytest.raises(ModelError, match="expected a tokenizer that can read a text here, ImportError was raised"):
        scoring.scorer(tmp_path / "phonemes", task="text-to-audio")


def test_what_draws(folder: Path, still: Path, fastspeech: Path, speecht5: Path) -> None:
    def draws(folder: Path, **params: Any) -> bool:
        return TextToAudio.draws(params, make_bundle(resolve(str(folder), task="text-to-audio"), "float32").path)

    assert draws(folder)
    assert draws(folder, noise_scale=0.0)
    assert not draws(folder, noise_scale=0, noise_scale_duration=0.0)
    assert not draws(still)
    assert not draws(still, noise_scale_duration=1.0)  # its durations are not drawn
    assert draws(still, noise_scale=Column("own"))
    assert not draws(fastspeech)
    assert draws(speecht5)


def test_half_precision_counts_long_durations(still: Path) -> None:
    text = " ".join(["they were not there when the water came"] * 20)  # more frames than bfloat16 counts
    exact, half = (
        scoring.rows(scoring.scorer(still, task="text-to-audio", dtype=dtype), text=[text])[0]["duration_s"]  # type: ignore[index]
        for dtype in ("float32", "bfloat16")
    )
    assert exact > 1000 * 16 / 8000
    assert half == pytest.approx(exact, rel=0.05)
