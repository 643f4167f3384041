"""Labels of recordings against plain transformers, called file by file in float32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import ParameterError
from engine.models.bundle import make_bundle
from engine.models.registry import resolve
from engine.schema import schema_of
from engine.tasks.check import check
from tests import audio_models, scoring
from tests.audio_models import LAYER_NORM, RATE, tone, wav

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # of WavLM

TASK: Final = "audio-classification"
NAMES: Final = ("bark", "rain", "speech", "wind")
LABELS: Final = {"num_labels": 4, "id2label": dict(enumerate(NAMES)), "label2id": {n: i for i, n in enumerate(NAMES)}}
#: Some of equal length, one of a few frames, one of silence, the longest beyond what AST and Whisper hear.
SOUNDS: Final = (
    *(tone(seconds, seed=i) for i, seconds in enumerate((0.5, 1.3, 0.2, 0.5, 0.037, 0.8, 0.5, 1.3))),
    np.zeros(4000, np.float32),
    0.01 * tone(0.31, seed=20) + 0.5,
)
MODELS: Final[dict[str, Callable[..., Path]]] = {
    "wav2vec2": audio_models.save_encoder,
    "wav2vec2 masked": lambda folder, **own: audio_models.save_encoder(folder, **LAYER_NORM, **own),
    "hubert": lambda folder, **own: audio_models.save_encoder(folder, "hubert", **own),
    "hubert masked": lambda folder, **own: audio_models.save_encoder(folder, "hubert", **LAYER_NORM, **own),
    "wavlm masked": lambda folder, **own: audio_models.save_encoder(folder, "wavlm", **LAYER_NORM, **own),
    "unispeech": lambda folder, **own: audio_models.save_encoder(folder, "unispeech", **own),
    "unispeech-sat": lambda folder, **own: audio_models.save_encoder(folder, "unispeech-sat", **own),
    "data2vec": lambda folder, **own: audio_models.save_encoder(folder, "data2vec-audio", **own),
    "w2v-bert": audio_models.save_bert,
    "ast": audio_models.save_ast,
    "whisper": audio_models.save_whisper_classifier,
}


def save(folder: Path, model: str = "wav2vec2", **overrides: Any) -> Path:
    return MODELS[model](folder, **{**LABELS, **overrides})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("audio") / "model")


def plain(folder: Path) -> Any:
    """The pipeline as a call for one recording's samples."""
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, pipeline

    model = AutoModelForAudioClassification.from_pretrained(folder, dtype=torch.float32)
    return pipeline(TASK, model=model, feature_extractor=AutoFeatureExtractor.from_pretrained(folder), device="cpu")


def scorer(folder: Path, **options: Any) -> Any:
    return scoring.scorer(folder, task=TASK, inputs=("audio",), **options)


def rows(folder: Path, sounds: Any = SOUNDS, **params: Any) -> list[Any]:
    return scoring.rows(scorer(folder, params=params), audio=[wav(one) for one in sounds])


@pytest.mark.parametrize("batch_windows", [1, 8])
@pytest.mark.parametrize("model", MODELS)
def test_scores_equal_the_pipeline_file_by_file(tmp_path: Path, model: str, batch_windows: int) -> None:
    folder = save(tmp_path / "model", model)
    pipe = plain(folder)
    found = rows(folder, batch_windows=batch_windows)
    assert len({row["score"] for row in found}) > 5
    for sound, row in zip(SOUNDS, found, strict=True):
        scoring.assert_ranked(row, pipe(sound, top_k=None))


@pytest.mark.parametrize(
    ("model", "pads"),
    [
        *(("wav2vec2", True), ("wav2vec2 masked", True), ("hubert", True), ("hubert masked", True)),
        *(("wavlm masked", True), ("data2vec", False), ("w2v-bert", True), ("ast", False), ("whisper", False)),
    ],
)
def test_only_models_whose_mask_hides_padding_are_padded(tmp_path: Path, model: str, pads: bool) -> None:
    made = scorer(save(tmp_path / "model", model))
    seen = batches(made)
    scoring.rows(made, audio=[wav(tone(s, seed=i)) for i, s in enumerate((0.5, 0.6, 0.5, 0.55))])
    fixed = model in ("ast", "whisper")
    assert made.task.pads == pads
    assert sorted(seen) == ([4] if pads or fixed else [1, 1, 2])


def batches(made: Any) -> list[int]:
    """How many recordings each batch of this scorer holds, from now on."""
    seen: list[int] = []
    compute = made.task.compute

    def watched(inputs: Any) -> Any:
        seen.append(len(next(iter(inputs.values()))))
        return compute(inputs)

    made.task.compute = watched
    return seen


def test_a_batch_holds_so_many_windows(tmp_path: Path) -> None:
    made = scorer(save(tmp_path / "model", "ast"), params={"batch_windows": 3})
    seen = batches(made)
    scoring.rows(made, audio=[wav(tone(0.3, seed=i)) for i in range(8)])
    assert sorted(seen) == [2, 3, 3]


def test_a_padded_batch_is_bounded_by_samples(tmp_path: Path) -> None:
    made = scorer(save(tmp_path / "model", "wav2vec2 masked"), params={"batch_windows": 1, "max_length_s": 1.0})
    seen = batches(made)
    scoring.rows(made, audio=[wav(tone(seconds, seed=i)) for i, seconds in enumerate((0.9, 0.3, 0.3, 0.3, 0.3))])
    assert sorted(seen) == [1, 2, 2]


@pytest.mark.parametrize(
    ("problem_type", "function"),
    [("single_label_classification", "softmax"), ("multi_label_classification", "sigmoid"), ("regression", "none")],
)
def test_the_configuration_says_what_makes_scores_of_logits(tmp_path: Path, problem_type: str, function: str) -> None:
    folder = save(tmp_path / "model", problem_type=problem_type)
    pipe = plain(folder)
    found = rows(folder, SOUNDS[:3])
    assert found == rows(folder, SOUNDS[:3], function_to_apply=function)
    for sound, row in zip(SOUNDS, found, strict=False):
        scoring.assert_ranked(row, pipe(sound, top_k=None))


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none"])
def test_a_function_may_be_asked_for(folder: Path, function: str) -> None:
    pipe = plain(folder)
    for sound, row in zip(SOUNDS[:3], rows(folder, SOUNDS[:3], function_to_apply=function, top_k=2), strict=True):
        scoring.assert_ranked(row, pipe(sound, top_k=2, function_to_apply=function))


def test_a_single_label_is_as_the_pipeline_has_it(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", num_labels=1, id2label={0: "speech"}, label2id={"speech": 0})
    [row] = rows(folder, SOUNDS[:1])
    scoring.assert_ranked(row, plain(folder)(SOUNDS[0], top_k=None))


def test_a_longer_recording_is_cut_and_flagged(folder: Path) -> None:
    pipe, sound = plain(folder), tone(1.5, seed=3)
    for seconds, heard, truncated in ((1.0, RATE, True), (1.5, sound.size, False), (30.0, sound.size, False)):
        [row] = rows(folder, [sound], max_length_s=seconds)
        scoring.assert_ranked(row, pipe(sound[:heard], top_k=None))
        assert (row["duration_s"], row["truncated"]) == (heard / RATE, truncated)


@pytest.mark.parametrize(("model", "heard"), [("ast", 63 * 160 + 400), ("whisper", RATE)])
def test_models_of_a_fixed_length_hear_no_more(tmp_path: Path, model: str, heard: int) -> None:
    folder = save(tmp_path / "model", model)
    pipe, sound = plain(folder), tone(2.0, seed=3)
    for samples in (heard - 1, heard, heard + 1, sound.size):
        [row] = rows(folder, [sound[:samples]])
        scoring.assert_ranked(row, pipe(sound[:samples], top_k=None))
        assert (row["duration_s"], row["truncated"]) == (min(samples, heard) / RATE, samples > heard)
    [row] = rows(folder, [sound], max_length_s=0.25)
    scoring.assert_ranked(row, pipe(sound[: RATE // 4], top_k=None))
    assert (row["duration_s"], row["truncated"]) == (0.25, True)


@pytest.mark.parametrize(("model", "least"), [("wav2vec2", 90), ("w2v-bert", 560), ("ast", 400), ("whisper", 1)])
def test_too_few_samples_cost_their_row_alone(tmp_path: Path, model: str, least: int) -> None:
    folder = save(tmp_path / "model", model)
    sounds = [SOUNDS[0], SOUNDS[0][: least - 1], SOUNDS[0][:0], SOUNDS[0][:least]]
    first, short, empty, enough = rows(folder, sounds)
    pipe = plain(folder)
    scoring.assert_ranked(first, pipe(SOUNDS[0], top_k=None))
    scoring.assert_ranked(enough, pipe(SOUNDS[0][:least], top_k=None))
    for row, samples in ((short, least - 1), (empty, 0)):
        assert row["error"] == {
            "code": "invalid_audio",
            "message": f"expected at least {least} samples ({least / RATE:g} s at {RATE} Hz) for this model, "
            f"got {samples}",
            "retryable": False,
        }
        assert [name for name, value in row.items() if value is not None] == ["error"]


def test_numbers_that_are_none_cost_their_row_alone(tmp_path: Path) -> None:
    """Where the task sees them: what reads recordings may refuse such samples before."""
    made = scorer(save(tmp_path / "model", "wav2vec2 masked"))
    compute = made.task.compute

    def spoilt(inputs: Any) -> Any:
        logits = compute(inputs).clone()
        logits[inputs["attention_mask"].sum(1) == 8000] = float("nan")
        return logits

    made.task.compute = spoilt
    found = scoring.rows(made, audio=[wav(one) for one in SOUNDS])
    assert [row["error"] and row["error"]["code"] for row in found] == [
        "non_finite" if one.size == 8000 else None for one in SOUNDS
    ]


def test_memory_that_runs_out_halves_the_batch(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", "whisper")
    expected = rows(folder)
    made = scorer(folder)
    compute = made.task.compute

    def small(inputs: Any) -> Any:
        if len(inputs["input_features"]) > 2:
            raise MemoryError
        return compute(inputs)

    made.task.compute = small
    seen = batches(made)
    found = scoring.rows(made, audio=[wav(one) for one in SOUNDS])
    assert max(seen) > 2
    for row, one in zip(found, expected, strict=True):
        assert row["error"] is None
        assert row["score"] == pytest.approx(one["score"], abs=1e-5)


def test_what_is_no_recording_costs_its_row_alone(folder: Path) -> None:
    made = scorer(folder)
    good, bad, null, again = scoring.rows(made, audio=[wav(SOUNDS[0]), b"no sound", None, wav(SOUNDS[1])])
    assert (good["error"], bad["error"]["code"], null, again["error"]) == (None, "invalid_audio", None, None)


def test_what_was_heard_is_counted(folder: Path) -> None:
    [window] = scoring.windows(scorer(folder), audio=[wav(one) for one in SOUNDS])
    assert window.stats.audio_s == pytest.approx(sum(one.size for one in SOUNDS) / RATE)


def test_many_recordings_go_through_a_pool_of_bounded_size(tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    made = scorer(folder, params={"batch_windows": 1, "max_length_s": 0.5})
    draw = np.random.default_rng(1)
    sounds: list[npt.NDArray[np.float32]] = [tone(float(draw.choice([0.1, 0.2, 0.3, 0.6])), seed=i) for i in range(60)]
    seen = batches(made)
    pipe = plain(folder)
    for sound, row in zip(sounds, scoring.rows(made, audio=[wav(one) for one in sounds]), strict=True):
        scoring.assert_ranked(row, pipe(sound[: RATE // 2], top_k=None))
    assert sum(seen) == 60
    assert max(seen) <= 5


def test_a_length_of_which_the_model_makes_nothing_is_refused_on_the_driver(folder: Path, tmp_path: Path) -> None:
    bundle = make_bundle(resolve(str(folder), task=TASK), "float32")
    check(TASK, bundle, {"max_length_s": 90 / RATE}, root=tmp_path)
    with pytest.raises(ParameterError, match=r"expected max_length_s of 0\.005625 or more, .* got 0\.005"):
        check(TASK, bundle, {"max_length_s": 0.005}, root=tmp_path)


@pytest.mark.parametrize(("max_length_s", "ahead"), [(1.0, 64), (60.0, 64), (480.0, 8), (36_000.0, 2)])
def test_fewer_long_recordings_are_read_ahead(
    folder: Path, monkeypatch: pytest.MonkeyPatch, max_length_s: float, ahead: int
) -> None:
    made = scorer(folder, params={"max_length_s": max_length_s})
    pieces, seen = made.task.pieces, []

    def watched(*given: Any, ahead: int) -> Any:
        seen.append(ahead)
        return pieces(*given, ahead=ahead)

    monkeypatch.setattr(made.task, "pieces", watched)
    scoring.rows(made, audio=[wav(SOUNDS[0])])
    assert seen == [ahead]


@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_a_length_is_above_nothing(folder: Path, value: float) -> None:
    with pytest.raises(ParameterError, match="expected max_length_s above 0, got"):
        scorer(folder, params={"max_length_s": value})


def test_top_k_is_one_at_least(folder: Path) -> None:
    with pytest.raises(ParameterError, match="expected top_k to be null or at least 1, got 0"):
        scorer(folder, params={"top_k": 0})


def test_the_struct_is_the_schemas(folder: Path) -> None:
    [window] = scoring.windows(scorer(folder), audio=[wav(SOUNDS[0])])
    assert window.result.type == schema_of(TASK).output
