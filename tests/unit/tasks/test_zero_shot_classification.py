"""Zero-shot answers against transformers' own pipeline, called row by row in float32."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import ParameterError, UnsupportedTaskError
from engine.options import Column
from engine.schema import schema_of
from engine.tasks.params import parse_params, takes
from engine.tasks.zero_shot_classification import label_scores
from tests import scoring, tiny

TASK: Final = "zero-shot-classification"
NLI: Final = ("contradiction", "neutral", "entailment")
LABELS: Final = ["water", "people, and their number", "a long day"]
TEXTS: Final = (
    *("the water is over the side", "how many people", " ", "find your way home 😀", "שלום the مرحبا"),
    *("Stiefel für über", "[SEP] the [CLS]", "the cat " * 20, "people " * 5000, "the water is over the side"),
)
SIZES: Final[dict[str, dict[str, Any]]] = {
    "bert": {},
    "roberta": {},
    "bart": {
        "d_model": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "decoder_start_token_id": 3,
    },
}


def save(folder: Path, architecture: str = "bert", names: Sequence[str] = NLI) -> Path:
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    return tiny.save(folder, architecture, **labels, **SIZES[architecture])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("zero_shot") / "model")


def plain(folder: Path) -> Any:
    """The pipeline as a call for one text."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    return pipeline(TASK, model=model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")


def scorer(folder: Path, *, batch_tokens: int = 256, **params: Any) -> Any:
    return scoring.scorer(folder, task=TASK, batch_tokens=batch_tokens, params={"candidate_labels": LABELS, **params})


def assert_scored(row: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    assert row is not None
    assert row["error"] is None
    scores = [one["score"] for one in row["scores"]]
    assert [one["label"] for one in row["scores"]] == expected["labels"]
    assert scores == pytest.approx(expected["scores"], rel=1e-5, abs=1e-5)
    assert (row["label"], row["score"]) == (expected["labels"][0], scores[0])


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("architecture", SIZES)
def test_scores_equal_the_pipeline_row_by_row(tmp_path: Path, architecture: str, multi_label: bool) -> None:
    folder = save(tmp_path / "model", architecture)
    pipe = plain(folder)
    for text, row in zip(TEXTS, scoring.rows(scorer(folder, multi_label=multi_label), text=TEXTS), strict=True):
        assert_scored(row, pipe(text, candidate_labels=LABELS, multi_label=multi_label))


def test_an_empty_text_is_scored_as_the_model_has_it(folder: Path) -> None:
    """The pipeline refuses it."""
    import torch

    pipe = plain(folder)
    pairs = [["", f"This example is {label}."] for label in LABELS]
    with torch.no_grad():
        logits = torch.cat([pipe.model(**pipe.tokenizer([pair], return_tensors="pt")).logits for pair in pairs])
    best = logits[:, 2].argsort(descending=True).tolist()
    [row] = scoring.rows(scorer(folder), text=[""])
    scores = logits[:, 2].softmax(0)[best].tolist()
    assert_scored(row, {"labels": [LABELS[i] for i in best], "scores": scores})


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("labels", [["water"], ["a", "day", "a"], [f"{i} of them" for i in range(30)], ["", "day"]])
def test_one_label_equal_labels_and_many(folder: Path, labels: list[str], multi_label: bool) -> None:
    pipe = plain(folder)
    made = scorer(folder, candidate_labels=labels, multi_label=multi_label)
    for text, row in zip(TEXTS[:4], scoring.rows(made, text=TEXTS[:4]), strict=True):
        assert_scored(row, pipe(text, candidate_labels=labels, multi_label=multi_label))


@pytest.mark.parametrize("template", ["it is {}", "{}", "{} {{or}} not"])
def test_a_template_of_ones_own(folder: Path, template: str) -> None:
    pipe = plain(folder)
    for text, row in zip(
        TEXTS[:3], scoring.rows(scorer(folder, hypothesis_template=template), text=TEXTS[:3]), strict=True
    ):
        assert_scored(row, pipe(text, candidate_labels=LABELS, hypothesis_template=template))


@pytest.mark.parametrize("names", [("Entailment", "neutral", "contradiction"), ("no", "ENTAILED", "so-so", "yes")])
def test_entailment_stands_where_the_model_says(tmp_path: Path, names: tuple[str, ...]) -> None:
    folder = save(tmp_path / "model", names=names)
    pipe = plain(folder)
    for multi_label in (False, True):
        [row] = scoring.rows(scorer(folder, multi_label=multi_label), text=TEXTS[:1])
        assert_scored(row, pipe(TEXTS[0], candidate_labels=LABELS, multi_label=multi_label))


def test_a_model_without_entailment_takes_the_last_label_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save(tmp_path / "model", names=("bad", "good"))
    with caplog.at_level(logging.WARNING, "engine.tasks.zero_shot_classification"):
        [row] = scoring.rows(scorer(folder), text=TEXTS[:1])
    assert caplog.messages == ["no label of the model starts with entail: the last one is taken for entailment"]
    assert_scored(row, plain(folder)(TEXTS[0], candidate_labels=LABELS))


def by_row(
    folder: Path, labels: pa.Array, texts: Sequence[Any], default: Sequence[str] | None = None, **params: Any
) -> list[Any]:
    """The structs of texts whose labels lie in a column of another name."""
    made = scorer(folder, candidate_labels=Column("the labels", default=default), **params)
    rows = pa.table({"text": pa.array(texts, pa.string()), "the labels": labels})
    return [row for scored in made.score(rows.to_batches()) for row in scored.result.to_pylist()]


LISTS: Final = [["water", "day"], ["one, or two", "people"], ["day", "water"], [" it "], ["water", "day"], ["day"] * 3]
COMMAS: Final = ["water, day", "one,two ,  three", " day", "a long day,,water,", "water,day", "שלום,😀"]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize(
    ("type_", "cells"),
    [
        (pa.list_(pa.string()), LISTS),
        (pa.large_list(pa.large_string()), LISTS),
        (pa.string(), COMMAS),
        (pa.large_string(), COMMAS),
        (pa.dictionary(pa.int32(), pa.string()), COMMAS),
    ],
)
def test_labels_by_row_equal_the_pipeline(
    folder: Path, type_: pa.DataType, cells: list[Any], multi_label: bool
) -> None:
    pipe = plain(folder)
    texts = [*TEXTS[:4], TEXTS[0], TEXTS[1]]
    found = by_row(folder, pa.array(cells, type_), texts, multi_label=multi_label)
    for text, labels, row in zip(texts, cells, found, strict=True):
        assert_scored(row, pipe(text, candidate_labels=labels, multi_label=multi_label))


def test_lists_of_a_fixed_size_are_labels_too(folder: Path) -> None:
    column = pa.array([["water", "day"], None, ["home", "people"]], pa.list_(pa.string(), 2))
    first, bad, last = by_row(folder, column, TEXTS[:3])
    pipe = plain(folder)
    assert_scored(first, pipe(TEXTS[0], candidate_labels=["water", "day"]))
    assert_scored(last, pipe(TEXTS[2], candidate_labels=["home", "people"]))
    assert bad["error"]["code"] == "invalid_parameter"


@pytest.mark.parametrize(
    ("type_", "bad"),
    [
        (pa.list_(pa.string()), [None, [], [None], ["day", None]]),
        (pa.string(), [None, "", " , ,"]),
    ],
)
def test_a_bad_cell_costs_its_row_alone(folder: Path, type_: pa.DataType, bad: list[Any]) -> None:
    good: Any = ["water", "day"] if type_ != pa.string() else "water,day"
    found = by_row(folder, pa.array([good, *bad, good], type_), [TEXTS[0]] * (len(bad) + 2))
    for row in (found[0], found[-1]):
        assert_scored(row, plain(folder)(TEXTS[0], candidate_labels=good))
    for row in found[1:-1]:
        assert row["error"]["code"] == "invalid_parameter"
        assert "as a list of strings or with commas between them" in row["error"]["message"]
        assert {name for name, value in row.items() if value is not None} == {"error"}


@pytest.mark.parametrize("column", [pa.array([1, 2]), pa.nulls(2), pa.array([[1], [2]])])
def test_a_column_of_another_type_has_no_labels(folder: Path, column: pa.Array) -> None:
    assert [row["error"]["code"] for row in by_row(folder, column, TEXTS[:2])] == ["invalid_parameter"] * 2


@pytest.mark.parametrize(
    "column",
    [
        pa.array([["day"], None, []], pa.list_(pa.string())),
        pa.array([["day"], None, []], pa.large_list(pa.large_string())),
        pa.array(["day", None, ""]),
        pa.nulls(3),
    ],
)
def test_a_null_takes_the_columns_default(folder: Path, column: pa.Array) -> None:
    first, second, third = by_row(folder, column, TEXTS[:3], ["one, or two", "water"])
    labels = ["one, or two", "water"]
    assert_scored(second, plain(folder)(TEXTS[1], candidate_labels=labels))
    if column.null_count == 3:
        assert_scored(third, plain(folder)(TEXTS[2], candidate_labels=labels))
    else:
        assert_scored(first, plain(folder)(TEXTS[0], candidate_labels=["day"]))
        assert third["error"]["code"] == "invalid_parameter"


def test_labels_that_are_not_utf_8_cost_their_row_alone(folder: Path) -> None:
    spoilt = pa.array([b"water", b"caf\xe9", b"day"], pa.binary()).view(pa.string())
    lists = pa.ListArray.from_arrays([0, 1, 2, 3], spoilt)
    for column, good in ((spoilt, ["water", "day"]), (lists, [["water"], ["day"]])):
        first, bad, last = by_row(folder, column, TEXTS[:3])
        assert bad["error"]["code"] == "invalid_text"
        assert_scored(first, plain(folder)(TEXTS[0], candidate_labels=good[0]))
        assert_scored(last, plain(folder)(TEXTS[2], candidate_labels=good[1]))


def test_duplicates_are_scored_once_where_their_labels_are_equal_too(folder: Path) -> None:
    made = scorer(folder, candidate_labels=Column("the labels"))
    rows = pa.table({"text": [TEXTS[0]] * 4, "the labels": [["day"], ["water"], ["day"], ["water", "day"]]})
    [scored] = made.score(rows.to_batches())
    assert scored.stats.duplicates == 1
    first, second, third, fourth = scored.result.to_pylist()
    assert first == third
    assert [one["label"] for one in second["scores"]] == ["water"]
    assert {one["label"] for one in fourth["scores"]} == {"water", "day"}


def test_tokens_are_summed_over_the_pairs_and_a_cut_is_flagged(folder: Path) -> None:
    """60 words fill the 64 tokens with one word in the hypothesis and three special tokens, 59 words with two."""
    made = scorer(folder, candidate_labels=["the", "the water"], hypothesis_template="{}")
    fits, one_cut, both_cut = scoring.rows(made, text=["the " * 59, "the " * 60, "the " * 61])
    assert (fits["tokens"], fits["truncated"]) == (63 + 64, False)
    assert (one_cut["tokens"], one_cut["truncated"]) == (64 + 64, True)
    assert (both_cut["tokens"], both_cut["truncated"]) == (64 + 64, True)


def test_a_longer_text_may_be_an_error(folder: Path) -> None:
    made = scorer(folder, candidate_labels=["the", "the water"], hypothesis_template="{}", long_text="error")
    fits, cut = scoring.rows(made, text=["the " * 59, "the " * 60])
    assert fits["error"] is None
    assert cut["error"]["code"] == "too_long"


def test_a_hypothesis_that_leaves_no_room_costs_only_its_row(folder: Path) -> None:
    """transformers cuts nothing then, and the model fails."""
    labels = [["water"], ["water", "the " * 64], ["day"]]
    first, bad, last = by_row(folder, pa.array(labels), TEXTS[:3])
    assert bad["error"]["code"] == "too_long"
    assert "leaves room for the text in 64 tokens: shorten the label or the template" in bad["error"]["message"]
    assert_scored(first, plain(folder)(TEXTS[0], candidate_labels=labels[0]))
    assert_scored(last, plain(folder)(TEXTS[2], candidate_labels=labels[2]))


def test_ties_stand_as_the_pipeline_has_them(tmp_path: Path) -> None:
    """Saturated scores: all are 1 in float32, and the later label comes first."""
    import torch
    from transformers import AutoModelForSequenceClassification

    folder = save(tmp_path / "model")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([-40.0, 0.0, 40.0]))
    model.save_pretrained(folder)
    [row] = scoring.rows(scorer(folder, multi_label=True), text=TEXTS[:1])
    assert {one["score"] for one in row["scores"]} == {1.0}
    assert [one["label"] for one in row["scores"]] == LABELS[::-1]
    assert_scored(row, plain(folder)(TEXTS[0], candidate_labels=LABELS, multi_label=True))


def test_scores_of_logits_written_out() -> None:
    """Rows of two labels and of one; the largest logits overflow nowhere: a warning would fail this test."""
    logits = np.array([[0.0, np.log(3.0)], [np.log(2.0), 0.0], [1000.0, -1000.0]], np.float32)
    counts = np.array([2, 1])
    found = label_scores(logits, counts, False)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [0.75, 0.25, 0.0], rtol=1e-6)
    np.testing.assert_allclose(label_scores(logits, counts, True), [0.75, 1 / 3, 0.0], rtol=1e-6)


@pytest.mark.parametrize(
    "template", ["no place", "", "{{}}", "{} and {}", "{label}", "{0}", "{!r}", "{:>9}", "{", "{}}"]
)
def test_a_template_without_one_place_is_refused(template: str) -> None:
    with pytest.raises(ParameterError, match=r"to be a sentence with one \{\} where the label goes, got"):
        parse_params(TASK, {"candidate_labels": ["water"], "hypothesis_template": template})


def test_a_template_of_a_column_without_a_place_costs_its_row(folder: Path) -> None:
    made = scorer(folder, hypothesis_template=Column("template"))
    rows = pa.table({"text": TEXTS[:2], "template": ["it is {}", "it is"]})
    [scored] = made.score(rows.to_batches())
    good, bad = scored.result.to_pylist()
    assert_scored(good, plain(folder)(TEXTS[0], candidate_labels=LABELS, hypothesis_template="it is {}"))
    assert bad["error"]["code"] == "invalid_parameter"


@pytest.mark.parametrize("params", [{}, {"multi_label": True}])
def test_missing_labels_are_refused_with_what_the_task_takes(params: dict[str, Any]) -> None:
    with pytest.raises(ParameterError) as caught:
        parse_params(TASK, params)
    assert str(caught.value) == f"{TASK} needs candidate_labels; it takes {takes(TASK)}"
    assert "candidate_labels: list of str = required" in takes(TASK)


@pytest.mark.parametrize("labels", [[], ()])
def test_no_labels_are_refused(labels: Any) -> None:
    with pytest.raises(ParameterError, match=r"expected candidate_labels to be list of str, at least one, got .*takes"):
        parse_params(TASK, {"candidate_labels": labels})


@pytest.mark.parametrize("labels", ["water, day", [1], ["water", None], None])
def test_fixed_labels_are_a_list_of_strings(labels: Any) -> None:
    with pytest.raises(ParameterError, match="expected candidate_labels to be list of str, got"):
        parse_params(TASK, {"candidate_labels": labels})


def test_a_head_with_one_output_is_no_model_of_inference(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", num_labels=1)
    with pytest.raises(UnsupportedTaskError, match="this one has a single output: give the task it was trained for"):
        scorer(folder)


def test_the_struct_is_the_schemas(folder: Path) -> None:
    [scored] = scoring.windows(scorer(folder), text=[*TEXTS, None])
    assert scored.result.type == schema_of(TASK).output
