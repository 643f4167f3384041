"""The benchmark of recordings: what it makes, what the rivals hear, and its figures from results made by hand."""

from __future__ import annotations

import argparse
import json
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.audio import __main__ as command
from benchmarks.audio import case, recordings
from benchmarks.audio.figures import figures, ratios
from benchmarks.audio.models import Whisper
from benchmarks.audio.phases import summed
from benchmarks.audio.recordings import KINDS, Recording, deal, encoded
from benchmarks.audio.report import show
from benchmarks.audio.rivals import RIVALS, samples
from benchmarks.audio.sentences import sentences, texts
from benchmarks.audio.spec import Spec
from tests.unit.benchmarks.imports import brought


def tone(seconds: float, rate: int) -> Any:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def test_texts_have_the_words_asked_for_and_repeat_late() -> None:
    lengths = [5, 30, 2, 700, 700]
    made = texts(lengths)
    assert [len(text.split()) for text in made] == lengths
    assert made == texts(lengths)
    assert made != texts(lengths, seed=1)
    assert len(sentences()) > 700
    said = " ".join(made)
    whole = [one for one in sentences() if one in said]
    assert sum(said.count(one) for one in whole if len(one) > 30) == len([one for one in whole if len(one) > 30])


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_of_every_kind_sounds_as_it_was_made(kind: recordings.Kind) -> None:
    import soundfile

    data = encoded(tone(2.5, 22_050), 22_050, kind)
    info = soundfile.info(BytesIO(data))
    assert (info.format, info.subtype, info.samplerate, info.channels) == (
        kind.format,
        kind.subtype,
        kind.rate,
        kind.channels,
    )
    heard = samples(data)
    assert heard.dtype == np.float32
    assert heard.size == pytest.approx(2.5 * 16_000, rel=0.03)
    spectrum = np.abs(np.fft.rfft(heard[8_000:24_000]))  # of a second: a bin is a hertz
    assert spectrum.argmax() == 440
    gain = 0.9 * np.linspace(1.0, 0.7, kind.channels).mean()
    assert np.abs(heard[8_000:24_000]).max() == pytest.approx(0.5 * gain, rel=0.1)


def test_seconds_are_dealt_out_evenly() -> None:
    assert deal([5.0, 1.0, 4.0, 2.0], 2) == [[0, 1], [2, 3]]
    seconds = [one / 7 for one in range(1, 65)]
    shares = deal(seconds, 2)
    assert sorted(row for share in shares for row in share) == list(range(64))
    first, second = (sum(seconds[row] for row in share) for share in shares)
    assert first == pytest.approx(second, rel=0.01)


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = [Recording(bytes([i]) * 3, f"text {i}", 1.0 + i) for i in range(5)]
    folder = recordings.write(made, tmp_path / "table", files=2)
    assert len(list(folder.iterdir())) == 2
    assert recordings.read(folder) == made


def test_recordings_are_kept_for_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [Recording(b"x", "said", 2.0), Recording(b"y", "also", 3.0)]
    monkeypatch.setattr(recordings, "clips", lambda count, seed: made[:count])
    monkeypatch.setattr(recordings, "long", lambda count, minutes, seed: [])
    asked = settings(clips=2, long=0, recordings=tmp_path / "kept")
    assert case.tables(asked) == {"clips": made}
    monkeypatch.undo()
    assert case.tables(asked) == {"clips": made}
    assert case.tables(settings(clips=1, long=0, recordings=tmp_path / "kept")) == {"clips": made[:1]}


def settings(**changed: Any) -> case.Settings:
    given = {"clips": 4, "long": 1, "minutes": 1.0, "runs": 1, "only": ("engine", "pipeline"), "dtype": "float32"}
    return case.Settings(**{**given, **changed})


def test_every_way_gets_the_same_tables_and_sequential_the_long_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case, "detect", lambda: SimpleNamespace(cores=2))
    made = {
        "clips": [Recording(bytes([i]), "said", float(i)) for i in range(9, 2, -1)],
        "long": [Recording(b"long", "said", 99.0)] * 2,
    }
    model = Whisper(folder=tmp_path / "whisper", converted=tmp_path / "converted", params={"max_new_tokens": 9})
    ways = ("engine", "engine-sequential", "pipeline")
    found = case.specs_of(settings(only=ways), model, made, tmp_path)
    assert {way: [*spec.tables] for way, spec in found.items()} == {
        "engine": ["clips", "long"],
        "engine-sequential": ["long"],
        "pipeline": ["clips", "long"],
    }
    spec = found["engine"]
    assert Spec.from_json(spec.to_json()) == spec
    assert (spec.params, spec.cores, spec.converted) == ({"max_new_tokens": 9}, 2, str(tmp_path / "converted"))
    assert [one.seconds for one in recordings.read(Path(spec.few))] == [3.0, 4.0, 5.0, 6.0]


def test_the_command_knows_every_way() -> None:
    assert command.WAYS == case.WAYS
    read = {action.dest: action.type for action in command._parser()._actions}["only"]
    assert read("pipelines,engine") == ("engine", "pipeline", "pipeline-batch8")
    assert read("faster-whisper") == tuple(way for way in RIVALS if way.startswith("faster-whisper"))
    with pytest.raises(argparse.ArgumentTypeError, match="expected some of pipelines, faster-whisper, engine"):
        read("whisperx")


def told(*texts: str, errors: dict[str, str] | None = None, phases: dict[str, float] | None = None) -> dict[str, Any]:
    numbered = {str(row): text for row, text in enumerate(texts)}
    return {"cold_s": 9.0, "heard": {"clips": {"texts": numbered, "errors": errors or {}, "phases": phases or {}}}}


MADE = {"clips": [Recording(b"", "Open the door.", 4.0), Recording(b"", "It was a very cold night", 6.0)]}


def test_figures_of_hand_made_passes() -> None:
    passes = [{"clips": {"s": s, "core_s": 2 * s}} for s in (1.0, 0.5, 2.0)]
    phases = {"forward_s": 0.75}
    heard = told("open the door", "It was very old night", errors={"1": "non_finite"}, phases=phases)
    assert figures(MADE, passes, heard) == {
        "cold_s": 9.0,
        "clips": {
            "times_real_time": 10.0,
            "spread": [5.0, 20.0],
            "runs_s": [1.0, 0.5, 2.0],
            "times_real_time_a_core": 5.0,
            "failed": 1,
            "errors": ["non_finite"],
            "phases": phases,
            "word_error": 2 / 9,  # "a" left out, "cold" replaced
        },
    }
    assert "word_error" not in figures(MADE, passes, heard, speech=False)["clips"]


RATES = {
    "engine": 40.0,
    "engine-sequential": 25.0,
    "pipeline": 10.0,
    "pipeline-batch8": 20.0,
    "faster-whisper-float32": 32.0,
    "faster-whisper-batched-float32": 16.0,
    "faster-whisper-int8": 80.0,
}


def ways(rates: dict[str, float]) -> dict[str, Any]:
    common = {"spread": [1.0, 99.0], "failed": 0, "phases": {}, "word_error": 0.125}
    return {
        way: {"cold_s": 9.0, "clips": {"times_real_time": rate, "times_real_time_a_core": rate / 2, **common}}
        for way, rate in rates.items()
    }


def test_ratios_of_hand_made_rates() -> None:
    found = ratios(ways(RATES), "clips")
    assert {name: ratio for name, ratio in found.items() if not name.endswith("_a_core")} == {
        "engine_to_engine_sequential": 1.6,
        "engine_to_pipeline": 4.0,
        "engine_to_pipeline_batch8": 2.0,
        "engine_to_best_pipeline": 2.0,
        "engine_to_faster_whisper_float32": 1.25,
        "engine_to_faster_whisper_batched_float32": 2.5,
        "engine_to_best_faster_whisper_float32": 1.25,
        "engine_to_faster_whisper_int8": 0.5,
        "engine_to_best_faster_whisper_int8": 0.5,
    }
    assert found["engine_to_pipeline_a_core"] == 4.0
    assert ratios(ways({"pipeline": 1.0}), "clips") == {}
    assert ratios(ways(RATES), "long") == {}


def test_the_tables_say_each_way_and_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    measured = ways(RATES)
    measured["engine"]["clips"]["phases"] = {"forward_s": 1.5, "wait_s": 0.25}
    report = {
        "machine": {"cpu": "a processor", "cores": 2, "gpus": []},
        "tables": {"clips": {"recordings": 64, "audio_s": 640.0, "shortest_s": 2.0, "longest_s": 28.0}},
        "ways": measured,
        "ratios": {"clips": ratios(measured, "clips")},
    }
    show(report)
    lines = capsys.readouterr().out.splitlines()
    assert "clips: 64 recordings of 2 to 28 s, 640 s together" in lines
    row = next(line for line in lines if line.startswith("engine "))
    assert row.split() == ["engine", "40.0", "1.0", "to", "99.0", "20.0", "12.50%", "0", "9.0"]
    assert "   4.00  engine to pipeline; by processor time 4.00" in lines
    assert "  engine, seconds of all workers: wait 0.2, forward 1.5" in lines


def test_phases_are_summed_over_windows() -> None:
    names = ("audio_s", "encode_s", "forward_s", "decode_s", "load_s", "batches")
    windows = [dict.fromkeys(names, 1.0), dict.fromkeys(names, 2.0)]
    assert summed(windows) == dict.fromkeys(names, 3.0)
    assert summed([]) == {}


def test_no_jvm_and_no_mlflow_is_imported_for_the_engine_alone() -> None:
    modules = (
        "benchmarks.audio.__main__, benchmarks.audio.case, benchmarks.audio.worker, benchmarks.audio.alone, "
        "benchmarks.audio.memory"
    )
    among = {"pyspark", "py4j", "mlflow", "rich", "pandas", "torch", "transformers"}
    assert brought(modules, among=among) == []


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Whisper:
    from benchmarks.audio.models import whisper

    return whisper(tmp_path_factory.mktemp("whisper") / "model")


@pytest.mark.weights
@pytest.mark.parametrize("way", RIVALS)
def test_rivals_hear_what_was_said(way: str, real: Whisper) -> None:
    from demo.words import corpus_error

    # tiny.en understands espeak-ng no better.
    spec = Spec(way=way, model=str(real.folder), converted=str(real.converted))
    made = list(recordings.clips(3))
    heard = RIVALS[way](spec, [one.data for one in made], False)
    assert (
        corpus_error(zip([one.text for one in made], heard, strict=True)) < 0.35
    )  # tiny.en understands espeak-ng no better
    said = list(recordings.long(1, 0.75))
    heard = RIVALS[way](spec, [said[0].data], True)
    assert corpus_error([(said[0].text, heard[0])]) < 0.35


@pytest.mark.weights
def test_clips_are_shorter_than_a_window_and_all_differ() -> None:
    made = list(recordings.clips(16))
    assert len({one.data for one in made}) == 16
    assert all(1.0 < one.seconds < 30.0 for one in made)
    assert np.mean([one.seconds for one in made]) == pytest.approx(15.0, rel=0.25)
    json.dumps([one.text for one in made])


def test_the_engine_alone_hears_as_plain_transformers_and_says_where_its_time_goes(tmp_path: Path) -> None:
    from benchmarks.audio.alone import Alone
    from tests import speech_models
    from tests.whispering import Plain, noise, wav

    model = speech_models.save(tmp_path / "model", multilingual=False)
    waves = [noise(seconds, seed=seed) for seed, seconds in enumerate((1.5, 3.0, 2.0))]
    made = [Recording(wav(wave), "said", wave.size / 16_000) for wave in waves]
    folder = str(recordings.write(made, tmp_path / "clips", files=2))
    way = Alone(Spec(way="engine-alone", model=str(model), tables={"clips": folder}, few=folder, dtype="float32"))
    assert way.cold()["cold_s"] > 0
    way.run("clips")
    heard = way.facts()["heard"]["clips"]
    plain = Plain(model)
    assert heard["texts"] == {row: plain.text(wave, num_beams=1) for row, wave in enumerate(waves)}
    assert heard["errors"] == {}
    phases = heard["phases"]
    assert phases["audio_s"] == pytest.approx(6.5)
    assert 0 < phases["wait_s"] + phases["encoder_s"] < phases["forward_s"]
    before = dict(phases)
    way.run("clips")
    assert way.facts()["heard"]["clips"]["phases"]["encoder_s"] < 2 * before["encoder_s"] + 1  # counted from nothing
