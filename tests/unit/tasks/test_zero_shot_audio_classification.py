"""Zero-shot answers to sounds against transformers' own pipeline, called file by file in float32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import ParameterError, UnsupportedTaskError
from engine.models.registry import resolve
from engine.options import Column, Compute, Request
from engine.schema import schema_of
from engine.scorer import Scorer
from engine.tasks.params import parse_params
from tests import audio_models, scoring, tiny
from tests.audio_models import CLAP_RATE, tone, wav

TASK: Final = "zero-shot-audio-classification"
LABELS: Final = ["water", "people, and their number", "a long day"]
SOUNDS: Final = tuple(
    tone(seconds, seed=i, rate=CLAP_RATE) for i, seconds in enumerate((0.3, 1.0, 0.01, 0.7, 0.5, 0.3))
)
FILES: Final = [wav(sound, CLAP_RATE) for sound in SOUNDS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audio_models.save_clap(tmp_path_factory.mktemp("clap") / "model")


def plain(folder: Path) -> Any:
    """The pipeline as a call for one recording's samples."""
    import torch
    from transformers import AutoFeatureExtractor, AutoModel, AutoTokenizer, pipeline

    model = AutoModel.from_pretrained(folder, dtype=torch.float32)
    parts = {"tokenizer": AutoTokenizer.from_pretrained(folder)}
    parts["feature_extractor"] = AutoFeatureExtractor.from_pretrained(folder)
    return pipeline(TASK, model=model, **parts, device="cpu")


def scorer(folder: Path, **params: Any) -> Any:
    given = {"candidate_labels": LABELS, **params}
    return scoring.scorer(folder, task=TASK, inputs=("audio",), params=given)


@pytest.mark.parametrize("batch_windows", [1, 8])
@pytest.mark.parametrize("fusion", [False, True])
def test_scores_equal_the_pipeline_file_by_file(tmp_path: Path, fusion: bool, batch_windows: int) -> None:
    folder = audio_models.save_clap(tmp_path / "model", fusion=fusion)
    pipe = plain(folder)
    found = scoring.rows(scorer(folder, batch_windows=batch_windows), audio=FILES)
    assert len({round(row["score"], 3) for row in found if row}) > 1
    for sound, row in zip(SOUNDS, found, strict=True):
        scoring.assert_ranked(row, pipe(sound, candidate_labels=LABELS))


@pytest.mark.parametrize("labels", [["water"], ["a", "day", "a"], [f"{i} of them" for i in range(30)], ["", "day"]])
def test_one_label_equal_labels_and_many(folder: Path, labels: list[str]) -> None:
    pipe = plain(folder)
    for sound, row in zip(
        SOUNDS[:2], scoring.rows(scorer(folder, candidate_labels=labels), audio=FILES[:2]), strict=True
    ):
        scoring.assert_ranked(row, pipe(sound, candidate_labels=labels))


@pytest.mark.parametrize("template", ["it is {}", "{}", "{} {{or}} not"])
def test_a_template_of_ones_own(folder: Path, template: str) -> None:
    [row] = scoring.rows(scorer(folder, hypothesis_template=template), audio=FILES[:1])
    scoring.assert_ranked(row, plain(folder)(SOUNDS[0], candidate_labels=LABELS, hypothesis_template=template))


@pytest.mark.parametrize("fusion", [False, True])
def test_of_a_longer_recording_the_start_is_heard(tmp_path: Path, fusion: bool) -> None:
    """The extractor's own cut is drawn at random; of the start alone it gives the same each time."""
    folder = audio_models.save_clap(tmp_path / "model", fusion=fusion)
    long = tone(2.5, seed=8, rate=CLAP_RATE)
    expected = plain(folder)(long[:CLAP_RATE], candidate_labels=LABELS)
    for _ in range(2):
        [row] = scoring.rows(scorer(folder), audio=[wav(long, CLAP_RATE)])
        scoring.assert_ranked(row, expected)
        assert (row["duration_s"], row["truncated"]) == (1.0, True)
    whole, cut = scoring.rows(scorer(folder, max_length_s=0.3), audio=FILES[:2])
    assert (whole["duration_s"], whole["truncated"]) == (0.3, False)
    assert (cut["duration_s"], cut["truncated"]) == (0.3, True)


def by_row(folder: Path, labels: pa.Array, files: Sequence[Any], default: Sequence[str] | None = None) -> list[Any]:
    """The windows of recordings whose labels lie in a column of another name."""
    made = scorer(folder, candidate_labels=Column("the labels", default=default))
    rows = pa.table({"audio": pa.array(files, pa.binary()), "the labels": labels})
    return list(made.score(rows.to_batches()))


LISTS: Final = [["water", "day"], ["one, or two", "people"], ["day", "water"], [" it "], ["water", "day"], ["day"] * 3]


def test_labels_by_row_equal_the_pipeline(folder: Path) -> None:
    pipe = plain(folder)
    [window] = by_row(folder, pa.array(LISTS), FILES)
    for sound, labels, row in zip(SOUNDS, LISTS, window.result.to_pylist(), strict=True):
        scoring.assert_ranked(row, pipe(sound, candidate_labels=labels))


def test_a_recording_of_several_rows_is_heard_once(folder: Path) -> None:
    pipe = plain(folder)
    which = [0, 1, 0, 0, 1, 2]
    [window] = by_row(folder, pa.array(LISTS), [FILES[i] for i in which])
    for i, labels, row in zip(which, LISTS, window.result.to_pylist(), strict=True):
        scoring.assert_ranked(row, pipe(SOUNDS[i], candidate_labels=labels))
    assert window.stats.audio_s == pytest.approx(sum(SOUNDS[i].size for i in range(3)) / CLAP_RATE)


def test_a_bad_recording_costs_all_its_rows_and_no_other(folder: Path) -> None:
    [window] = by_row(folder, pa.array(LISTS), [FILES[0], b"no sound", FILES[1], b"no sound", None, FILES[0]])
    found = window.result.to_pylist()
    assert [row and row["error"] and row["error"]["code"] for row in found] == [
        *(None, "invalid_audio", None, "invalid_audio", None, None)
    ]
    assert found[4] is None


def test_a_label_is_read_once_for_all_windows(folder: Path) -> None:
    given = {"candidate_labels": LABELS}
    made = Scorer(
        scorer(folder).task,
        Request(inputs={"audio": "audio"}, params=given),
        batch_tokens=64,
        compute=Compute(window_rows=2),
    )
    read: list[int] = []
    model = made.task.model
    texts = model.get_text_features

    def watched(**inputs: Any) -> Any:
        read.append(len(inputs["input_ids"]))
        return texts(**inputs)

    model.get_text_features = watched
    try:
        found = scoring.rows(made, audio=FILES)
    finally:
        del model.get_text_features
    assert sum(read) == len(LABELS)
    assert [row["error"] for row in found if row] == [None] * len(FILES)


@pytest.mark.parametrize("bad", [None, [], ["water", None]])
def test_a_cell_without_labels_costs_its_row_alone(folder: Path, bad: Any) -> None:
    [window] = by_row(folder, pa.array([["water", "day"], bad, ["day"]], pa.list_(pa.string())), FILES[:3])
    good, row, other = window.result.to_pylist()
    assert (good["error"], row["error"]["code"], other["error"]) == (None, "invalid_parameter", None)


def test_a_null_takes_the_columns_default(folder: Path) -> None:
    labels = pa.array([["water"], None], pa.list_(pa.string()))
    [window] = by_row(folder, labels, FILES[:2], default=LABELS)
    scoring.assert_ranked(window.result.to_pylist()[1], plain(folder)(SOUNDS[1], candidate_labels=LABELS))


def test_a_hypothesis_that_is_too_long_costs_its_row_alone(folder: Path) -> None:
    labels = pa.array([["water"], ["water", "day " * 80], ["day"]])
    [window] = by_row(folder, labels, FILES[:3])
    found = window.result.to_pylist()
    assert [row["error"] and row["error"]["code"] for row in found] == [None, "too_long", None]
    assert found[1]["error"]["message"] == (
        "expected a hypothesis of at most 64 tokens: shorten the label or the template"
    )


def test_no_samples_are_an_error_of_their_row(folder: Path) -> None:
    good, empty = scoring.rows(scorer(folder), audio=[FILES[0], wav(np.zeros(0, np.float32), CLAP_RATE)])
    assert good["error"] is None
    assert empty["error"]["code"] == "invalid_audio"
    assert empty["error"]["message"].startswith("expected at least 1 samples")


def test_ties_stand_as_the_pipeline_has_them(folder: Path) -> None:
    labels = ["day", "water", "day", "day"]
    [row] = scoring.rows(scorer(folder, candidate_labels=labels), audio=FILES[:1])
    scoring.assert_ranked(row, plain(folder)(SOUNDS[0], candidate_labels=labels))


@pytest.mark.parametrize("template", ["no place", "{} and {}", "{name}", "{"])
def test_a_template_without_one_place_is_refused(folder: Path, template: str) -> None:
    with pytest.raises(ParameterError, match=r"expected hypothesis_template to be a sentence with one \{\} where"):
        scorer(folder, hypothesis_template=template)


def test_missing_labels_are_refused_with_what_the_task_takes() -> None:
    with pytest.raises(ParameterError, match=f"{TASK} needs candidate_labels; it takes candidate_labels: list of str"):
        parse_params(TASK, {})


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedTaskError, match=f"expected an architecture …ClapModel for {TASK}"):
        resolve(str(tiny.save(tmp_path / "model")), task=TASK)


def test_a_folder_says_what_it_is_for(folder: Path) -> None:
    assert resolve(str(folder)).task == TASK


def test_the_struct_is_the_schemas(folder: Path) -> None:
    [window] = scoring.windows(scorer(folder), audio=FILES[:1])
    assert window.result.type == schema_of(TASK).output
