from __future__ import annotations

import io
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from engine.device import Choice, Gpu, Hardware
from engine.placement import Placement
from jobs import plan as plans
from jobs.agreement import Agreement, compare
from jobs.definition import JobDefinition
from jobs.hearing import Lengths
from jobs.keys import Keys
from jobs.plan import Plan
from jobs.sample import Sample, brief
from jobs.summary import Audio, Planned, Writing, duration, rate
from jobs.trial import NONE, Trial, expect, seconds_of
from jobs.writing import Texts

KEYS = Keys(rows=6, whole=True, nulls=0, duplicates=0, examples=())
PLAN = Plan(
    job="reviews",
    identity="0123456789abcdef",
    model="models:/sentiment/3",
    digest="ab" * 32,
    task="text-classification",
    params={"top_k": None, "max_length": {"column": "longest"}},
    source="reviews",
    where="lang = '[red]en'",
    sink="reviews_scored",
    rows=1_500,
    scored=500,
    planned=Planned(rows=1_000, rows_per_s=200.0, seconds=10.0),
    device=Choice("cpu", "no GPU is visible"),
    dtype=Choice("bfloat16", "the CPU has amx_bf16"),
    threads=Choice(1, "spark.task.cpus"),
    batch_tokens=Choice(4096, "CPU"),
    slots=4,
    partitions=1,
    most_tasks=20,
    half=Agreement(rows=64, agree=63, difference=0.00321),
    keys=KEYS,
    tried=64,
    failed={"non_finite": 1},
    warnings=("[two] keys are one",),
)


def shown(renderable: Any) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def lines(plan: Plan) -> dict[str, str]:
    cells = [line.strip("│").split("│") for line in shown(plan).splitlines() if line.startswith("│")]
    return {name.strip(): value.strip() for name, value in cells}


def test_a_plan_says_everything_on_a_screen() -> None:
    assert lines(PLAN) == {
        "model": "models:/sentiment/3, bundle abababababab",
        "task": "text-classification (top_k = None, max_length = {'column': 'longest'})",
        "source → sink": "reviews where lang = '[red]en' → reviews_scored",
        "rows": "1,000 to score (1,500 in the source, 500 scored before)",
        "device": "cpu (no GPU is visible)",
        "dtype": "bfloat16 (the CPU has amx_bf16)",
        "threads": "1 (spark.task.cpus), 4 workers at once",
        "tasks": "4 (1 in the source, made more so that every worker has one)",
        "batch_tokens": "4096 (CPU)",
        "expected": "200 rows/s, 10 s",
        "keys": "no null and no duplicate in all 6 rows",
        "bfloat16 against float32": "labels agree on 63 of 64 rows, largest difference 0.0032",
        "failed in the trial": "1 of 64 rows non_finite",
    }
    assert shown(PLAN).splitlines()[0].strip() == "reviews (0123456789abcdef)"
    assert shown(PLAN).splitlines()[-1].strip() == "warning: [two] keys are one"


def test_a_plan_says_what_is_to_know_of_the_model() -> None:
    noted = replace(PLAN, notes=("the weights were quantized to 4 bits",))
    assert lines(noted)["note"] == "the weights were quantized to 4 bits"
    assert noted.as_dict()["notes"] == ("the weights were quantized to 4 bits",)


def test_a_plan_of_texts_to_write_tells_what_writes_them() -> None:
    chosen = Choice("transformers", "vLLM is not installed on the executors")
    assert lines(replace(PLAN, backend=chosen))["backend"] == "transformers (vLLM is not installed on the executors)"
    assert "backend" not in lines(PLAN)


def test_a_plan_on_gpus_says_how_the_model_lies() -> None:
    chosen = Choice(Placement(cpus=8), "its 0.4 GiB of weights fit NVIDIA L4")
    found = lines(replace(PLAN, placement=chosen))
    assert found["placement"] == "1 GPU a task, 8 cores each (its 0.4 GiB of weights fit NVIDIA L4)"
    assert "placement" not in lines(PLAN)


@pytest.mark.parametrize(
    ("placement", "compared"), [(None, True), (Placement(), True), (Placement(gpus=2, room=1 << 30), False)]
)
def test_half_precision_is_compared_where_float32_finds_room(placement: Placement | None, compared: bool) -> None:
    model: Any = SimpleNamespace(
        placement=placement and Choice(placement, "asked for"),
        bundle=SimpleNamespace(manifest=SimpleNamespace(weight_bytes=1 << 30)),
        dtype=Choice("bfloat16", "asked for"),
        hardware=Hardware(cores=1, memory=1, gpus=(Gpu("NVIDIA L4", (8, 9), 22 << 30),)),
    )
    words = "bfloat16 is not compared with float32, whose weights find no room on one GPU"
    assert list(plans._not_compared(model)) == ([] if compared else [words])


def test_a_plan_promises_nothing_where_nothing_could_be_tried() -> None:
    assert lines(replace(PLAN, tried=0))["expected"] == "unknown: no row has an input"


def test_a_plan_of_recordings_tells_seconds_of_audio_and_whence_they_are_known() -> None:
    audio = Audio(seconds=33_120.0, speed=24.0, looked=64, told=63)
    told = lines(replace(PLAN, planned=Planned(rows=1_000, rows_per_s=0.725, seconds=1_380.0, audio=audio)))
    assert told["audio"] == "about 9.2 h, estimated from the headers of 63 of 64 rows"
    assert told["expected"] == "24 times real time, 0.72 rows/s, 23 min"
    assert str(replace(audio, seconds=None, told=0)) == "unknown: none of 64 headers tells a length"
    large = lines(replace(PLAN, tried=0, planned=Planned(rows=9, rows_per_s=0.0, seconds=0.0, audio=audio)))
    assert large["expected"] == "unknown: no row has an input of at most 48 MiB"


def test_a_plan_is_json() -> None:
    told = json.loads(json.dumps(PLAN.as_dict()))
    assert told["dtype"] == {"value": "bfloat16", "reason": "the CPU has amx_bf16"}
    assert told["planned"] == {"rows": 1000, "rows_per_s": 200.0, "seconds": 10.0, "audio": None, "writing": None}
    assert told["half"] == {"rows": 64, "agree": 63, "difference": 0.00321, "of": "labels"}


def test_a_secret_stays_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.references import reveal

    monkeypatch.setenv("BUCKET", "hunter2-bucket")
    reveal("${env:BUCKET}")
    text = shown(replace(PLAN, model="s3://hunter2-bucket/m", warnings=("hunter2-bucket",)))
    assert "hunter2" not in text
    assert text.count("${env:BUCKET}") == 2


def test_what_is_expected_is_the_trial_in_every_slot() -> None:
    # 50 rows/s in each of 4 slots: 1,000 rows in 5 s, after 5 s of loading
    trial = Trial([], rows_per_s=50.0, load_s=5.0)
    assert expect(1_000, trial, 4) == Planned(rows=1_000, rows_per_s=200.0, seconds=10.0)
    assert expect(1_000, NONE, 4) == Planned(rows=1_000, rows_per_s=0.0, seconds=0.0)


def test_recordings_take_time_by_their_seconds() -> None:
    # 2 of 3 headers tell 20 s each: 1,000 rows hold 20,000 s; 4 slots of 25 times real time hear them in 200 s
    trial = Trial([], rows_per_s=9.0, load_s=5.0, speed=25.0)
    audio = Audio(seconds=20_000.0, speed=100.0, looked=3, told=2)
    expected = Planned(rows=1_000, rows_per_s=5.0, seconds=205.0, audio=audio)
    assert expect(1_000, trial, 4, Lengths(looked=3, told=2, seconds=40.0)) == expected


def test_recordings_whose_headers_tell_nothing_take_time_by_rows() -> None:
    trial = Trial([], rows_per_s=2.0, load_s=0.0, speed=25.0)
    audio = Audio(seconds=None, speed=100.0, looked=3, told=0)
    expected = Planned(rows=1_000, rows_per_s=8.0, seconds=125.0, audio=audio)
    assert expect(1_000, trial, 4, Lengths(looked=3, told=0, seconds=0.0)) == expected


def test_encoding_runs_beside_forward_on_a_gpu_only() -> None:
    window = {"encode_s": 3.0, "forward_s": 1.0, "decode_s": 0.5}
    assert seconds_of(window, "cpu") == 4.5
    assert seconds_of(window, "cuda:0") == 3.0
    assert seconds_of({**window, "encode_s": 0.1}, "cuda:0") == 1.5


def classified(error: Any = None, **scores: float) -> dict[str, Any]:
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    return {
        "label": ranked[0][0],
        "score": ranked[0][1],
        "scores": [{"label": name, "score": score} for name, score in ranked],
        "tokens": 3,
        "error": error,
    }


def test_scores_are_compared_label_by_label_and_failed_rows_left_out() -> None:
    half = [
        classified(a=0.9, b=0.1),
        classified(a=0.51, b=0.49),
        None,
        classified({"code": "non_finite"}, a=0.0, b=1.0),
    ]
    full = [classified(a=0.875, b=0.125), classified(a=0.48, b=0.52), None, classified(a=1.0, b=0.0)]
    found = compare(half, full)
    assert (found.rows, found.agree) == (2, 1)
    assert found.difference == pytest.approx(0.03)  # b: 0.49 against 0.52, though the best are 0.51 of a and 0.52 of b
    assert compare(half[2:], full[2:]) == Agreement(0, None, 0.0)


def test_vectors_are_compared_number_by_number() -> None:
    one, other = {"embedding": [1.0, 2.0, 3.0], "error": None}, {"embedding": [1.0, 2.25, 3.0], "error": None}
    assert compare([one], [other]) == Agreement(rows=1, agree=None, difference=0.25)
    assert str(Agreement(rows=7, agree=None, difference=0.25)) == "largest difference 0.25 in 7 rows"


def entity(word: str, score: float) -> dict[str, Any]:
    return {"entity": "PER", "score": score, "word": word, "start": 0, "end": 3}


def test_lists_are_compared_by_the_words_in_them() -> None:
    """An entity that one scoring lacks is a difference of words, not of numbers."""
    one = {"entities": [entity("ann", 0.5), entity("bob", 0.75)], "error": None}
    other = {"entities": [entity("bob", 0.5)], "error": None}
    near = {"entities": [entity("ann", 0.5), entity("bob", 0.875)], "error": None}
    assert compare([one, one], [other, near]) == Agreement(rows=2, agree=1, difference=0.25)


def test_vectors_of_other_lengths_are_not_compared() -> None:
    one, other = {"vectors": [[1.0], [2.0]], "error": None}, {"vectors": [[1.0, 5.0], [4.0]], "error": None}
    assert compare([one], [other]) == Agreement(rows=1, agree=None, difference=2.0)


def transcribed(text: str, logprob: float) -> dict[str, Any]:
    segment = {"start": 0.0, "end": 2.0, "text": text, "avg_logprob": logprob, "no_speech_prob": 0.25}
    own = {"text": text, "language": "en", "duration_s": 2.0, "words": [], "tokens": 3, "no_speech_prob": 0.25}
    return {**own, "segments": [segment], "error": None}


def test_transcripts_are_compared_by_their_texts_and_numbers_where_these_are_equal() -> None:
    half = [transcribed("the red van", -0.5), transcribed("the bread van", -2.0)]
    full = [transcribed("the red van", -0.25), transcribed("the red van", -0.5)]
    found = compare(half, full)
    assert (found.rows, found.agree, found.of) == (2, 1, "texts")
    assert found.difference == 0.25
    assert str(found) == "texts agree on 1 of 2 rows, largest difference 0.25"


def test_texts_are_compared_without_the_names_beside_them() -> None:
    def answered(content: str) -> dict[str, Any]:
        return {"id": content, "model": "m", "choices": [{"message": {"content": content}}], "error": None}

    found = compare([answered("the van"), answered("a")], [answered("the van"), answered("b")])
    assert (found.rows, found.agree, found.of) == (2, 1, "texts")
    row = answered("a")
    assert compare([row], [{**row, "id": "other"}]).agree == 1


def test_what_only_a_trial_leaves_incomplete_is_no_failure() -> None:
    rows = [{"error": {"code": "incomplete"}}, {"error": {"code": "too_long"}}, {"error": None}, None]
    texts = Texts(rows=1, prompt=1, tried=2, texts=2, cut=1, tokens=40, cap=32, most=64)
    assert plans._failed(Trial(rows, 1.0, 1.0, texts=texts)) == {"too_long": 1}
    assert plans._failed(Trial(rows, 1.0, 1.0, texts=replace(texts, most=32))) == {"incomplete": 1, "too_long": 1}


def test_bad_keys_are_named() -> None:
    found = Keys(rows=900, whole=False, nulls=2, duplicates=1, examples=("id=3 and lang=en (4 rows)",))
    assert not found.unique
    assert str(found) == (
        "2 rows with a null; 1 duplicate keys, such as id=3 and lang=en (4 rows) (in the first 900 rows): "
        "rows can't be told apart in the sink"
    )
    assert str(replace(found, turns=True)).endswith("(in the first 900 rows): turns can't be put in order")


JOB = JobDefinition.model_validate(
    {
        "version": 1,
        "name": "reviews",
        "model": "models:/sentiment@champion",
        "source": {"table": "reviews", "key": ["id"], "inputs": "body"},
        "sink": {"table": "scored"},
        "errors": {"max_fraction": 0.1},
    }
)


@pytest.mark.parametrize(
    ("keys", "half", "failed", "warnings"),
    [
        (KEYS, Agreement(64, 64, 0.1), {"non_finite": 6}, []),  # 6 of 64 are below a tenth
        (KEYS, Agreement(64, None, 0.1), {}, []),
        (replace(KEYS, nulls=1), None, {}, ["keys: 1 rows with a null (in all 6 rows): rows can't be told apart in"]),
        (
            KEYS,
            None,
            {"non_finite": 4, "decode_failed": 3},
            ["7 of 64 rows tried failed, more than errors.max"],
        ),
        (KEYS, Agreement(64, 63, 0.1), {}, ["1 of 64 labels are others in float32: write compute.dtype: float32"]),
    ],
)
def test_warnings_say_what_to_look_at(
    keys: Keys, half: Agreement | None, failed: dict[str, int], warnings: list[str]
) -> None:
    found = list(plans._warnings(JOB, keys, half, 64, failed))
    assert [text[: len(start)] for text, start in zip(found, warnings, strict=True)] == warnings


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "0 s"), (119, "119 s"), (1_200, "20 min"), (12_600, "3.5 h")])
def test_durations_are_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"), [(0.0, "0"), (0.0512, "0.051"), (3.44, "3.4"), (12.4, "12"), (1_200.0, "1,200")]
)
def test_rates_below_ten_have_a_digit_more(number: float, words: str) -> None:
    assert rate(number) == words


def test_a_sample_is_short_and_its_brackets_are_no_markup() -> None:
    struct = {
        "embedding": [0.12345, -0.5, 1.0, 2.0],
        "scores": [{"label": "[/bold]a", "score": 0.75}],
        "truncated": False,
        "error": None,
    }
    error = {"code": "non_finite", "message": "…", "retryable": False}
    failed = {**dict.fromkeys(struct), "error": error}
    text = shown(Sample([{"[id]": "[/red]7"}, {"[id]": "8"}], [struct, failed]))
    for part in ("[id]", "[/red]7", "0.1235, -0.5000, 1.0000, … (4)", "[/bold]a 0.7500", "False", "non_finite"):
        assert part in text
    assert [brief(value) for value in ("a", 3, 1.0, [], b"RIFF")] == ["a", "3", "1.0000", "", "4 bytes"]


def test_a_sample_of_nothing_is_empty() -> None:
    assert "error" in shown(Sample([], []))


def test_a_plan_of_texts_says_tokens_and_their_speed() -> None:
    texts = Writing(prompt_tokens=5e4, output_tokens=2e4, per_s=450.0, rows=16, texts=16, cut=0, cap=32, most=256)
    found = lines(replace(PLAN, planned=replace(PLAN.planned, rows_per_s=22.5, seconds=50.0, writing=texts)))
    assert found["tokens"] == "about 50,000 of prompts and 20,000 to write, from 16 rows"
    assert found["expected"] == "450 output tokens/s, 22 rows/s, 50 s"
