"""Entities and labels of tokens against transformers' own pipeline, called one text at a time in float32."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from transformers import AutoModelForTokenClassification

from engine.errors import ParameterError
from engine.tasks.params import parse_params
from tests import scoring, tagging, tiny
from tests.conformance.base import assert_same

AGGREGATIONS: Final = ("none", "simple", "first", "average", "max")
MODELS: Final = [("bert", "wordpiece"), ("roberta", "bytes"), ("deberta-v2", "blanks"), ("modernbert", "bytes")]
ODD: Final = (
    "",
    "   ",
    "שלום 😀 the 👩‍👩‍👧‍👦 cat 🇳🇱",
    "the \x00 cat\t\r\n\u00a0 sat",
    "e\u0301t\u00e9 na\u00efve co\u0301mo le garc\u0327on",
    "مرحبا\u202e the people, 水は first? don't.",
    "[SEP] the [CLS] cat [MASK] [PAD]",
    "qxq zzz the-people.now,way  the   first ",
)


def texts(count: int = 12, seed: int = 5) -> list[str]:
    """Texts of 0 to 90 words (the tiny models take 64 tokens), some in words that are no single token, and odd ones."""
    draw = random.Random(seed)
    words = [*tiny.WORDS, "catsat", "hello", "there,", "no."]
    return [*(" ".join(draw.choices(words, k=draw.randrange(90))) for _ in range(count)), *ODD]


@pytest.fixture(scope="module", params=MODELS, ids=lambda one: "-".join(one))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tagging.save(tmp_path_factory.mktemp("tagging") / "model", *request.param)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tagging.save(tmp_path_factory.mktemp("tagging") / "bert")


def found(folder: Path, values: list[str], **params: Any) -> list[Any]:
    rows = scoring.rows(scoring.scorer(folder, params=params, batch_tokens=256), text=values)
    assert [row and row["error"] for row in rows] == [None] * len(values)
    return [row and row["entities"] for row in rows]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_entities_equal_the_pipeline_row_by_row(folder: Path, aggregation: str) -> None:
    want = tagging.expected(folder, texts(), aggregation_strategy=aggregation)
    assert sum(map(len, want)) > 50
    assert_same(found(folder, texts(), aggregation=aggregation), want)


def test_entities_are_merged_where_nothing_is_said(bert: Path) -> None:
    assert_same(found(bert, texts()), tagging.expected(bert, texts(), aggregation_strategy="simple"))


@pytest.mark.parametrize(
    ("aggregation", "ignored"),
    [
        ("none", []),
        ("none", ["O", "B-PER"]),
        ("simple", []),
        ("simple", ["PER", "B-PER", "no such"]),
        ("max", ["MISC"]),
    ],
)
def test_labels_are_left_out_as_the_pipeline_leaves_them_out(bert: Path, aggregation: str, ignored: list[str]) -> None:
    want = tagging.expected(bert, texts(), aggregation_strategy=aggregation, ignore_labels=ignored)
    assert_same(found(bert, texts(), aggregation=aggregation, ignore_labels=ignored), want)


def test_places_are_characters_of_the_text(bert: Path) -> None:
    text = "😀 שלום the cat 👩‍👩‍👧 水"
    [tokens] = found(bert, [text], aggregation="none", ignore_labels=[])
    parts = [text[one["start"] : one["end"]] for one in tokens]
    assert parts == ["😀", "שלום", "the", "c", "a", "t", "👩‍👩‍👧", "水"]
    assert [one["word"] for one in tokens] == ["😀", "שלום", "the", "c", "##a", "##t", "👩‍👩‍👧", "水"]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_row_without_entities_has_an_empty_list(tmp_path: Path, aggregation: str) -> None:
    folder = changed(tagging.save(tmp_path / "model"), "classifier.bias", 0, 1000.0)
    values = ["the cat", "", "first people"]
    rows = scoring.rows(scoring.scorer(folder, params={"aggregation": aggregation}), text=values)
    assert rows == [{"entities": [], "tokens": tokens, "truncated": False, "error": None} for tokens in (6, 2, 4)]
    assert found(folder, ["", ""], aggregation=aggregation, ignore_labels=[]) == [[], []]


def test_rows_with_and_without_entities_stand_side_by_side(tmp_path: Path) -> None:
    """A model that looks at nothing but the token: ``people`` is a person, all else is none."""
    folder = tagging.save(tmp_path / "model", labels=("O", "B-PER", "I-PER"))
    made = scoring.scorer(folder)
    people = made.task.tokenizer.convert_tokens_to_ids("people")

    def forward(encoded: Any, items: Any) -> list[Any]:
        tokens = encoded.data.tokens
        return [torch.tensor([[float(i == people), 0.75] for i in tokens.ids[tokens.of(k)]]).numpy() for k in items]

    made.task.forward = forward
    rows = scoring.rows(made, text=["now", None, "the people now people people", "", "people"])
    places = [row and [(one["entity"], one["start"], one["end"]) for one in row["entities"]] for row in rows]
    assert places == [[], None, [("PER", 4, 10), ("PER", 15, 21), ("PER", 22, 28)], [], [("PER", 0, 6)]]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("aggregation", ["simple", "average"])
def test_logits_that_are_no_numbers_give_no_entities(tmp_path: Path, value: float, aggregation: str) -> None:
    """A probability hides an infinite logit: it is looked for before."""
    folder = changed(tagging.save(tmp_path / "model"), "classifier.bias", 2, value)
    for row in scoring.rows(scoring.scorer(folder, params={"aggregation": aggregation}), text=["the cat", ""]):
        assert row is not None
        assert row["error"]["code"] == "non_finite"
        assert [row[name] for name in ("entities", "tokens", "truncated")] == [None] * 3


def test_one_bad_window_costs_its_row_and_no_other(tmp_path: Path) -> None:
    folder = tagging.save(tmp_path / "model")
    water = tiny.tokenizer().convert_tokens_to_ids("water")
    changed(folder, "bert.embeddings.word_embeddings.weight", water, float("nan"))
    values = ["the people " * 50, "the people " * 50 + "water", "first"]
    params = {"long_text": "chunk", "max_length": 16}
    good, bad, short = scoring.rows(scoring.scorer(folder, params=params), text=values)
    assert bad is not None
    assert bad["error"]["code"] == "non_finite"
    assert_same([good, short], scoring.rows(scoring.scorer(folder, params=params), text=[values[0], values[2]]))


def changed(folder: Path, parameter: str, at: int, value: float) -> Path:
    """The model with one number, or one row of them, of a parameter set."""
    model = AutoModelForTokenClassification.from_pretrained(folder)
    with torch.no_grad():
        model.get_parameter(parameter)[at] = value
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model over bytes, whose tokenizer is one in Python."""
    from transformers import ByT5Tokenizer, T5Config, T5ForTokenClassification

    folder = tmp_path_factory.mktemp("tagging") / "slow"
    torch.manual_seed(0)
    names = {"id2label": dict(enumerate(tagging.LABELS)), "label2id": {one: i for i, one in enumerate(tagging.LABELS)}}
    sizes = {"vocab_size": 384, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    T5ForTokenClassification(T5Config(**sizes, **names, initializer_factor=2.0)).save_pretrained(folder)
    ByT5Tokenizer(model_max_length=64).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("aggregation", ["none", "simple"])
def test_a_tokenizer_in_python_tells_no_places(slow: Path, aggregation: str) -> None:
    values = ["the cat", "", "שלום 😀</s> the", "a" * 100]
    want = tagging.expected(slow, values, aggregation_strategy=aggregation, ignore_labels=[])
    assert sum(map(len, want)) > 15
    assert {one["start"] for row in want for one in row} == {None}
    assert_same(found(slow, values, aggregation=aggregation, ignore_labels=[]), want)


@pytest.mark.parametrize("params", [{"aggregation": "first"}, {"long_text": "chunk"}])
def test_what_a_tokenizer_in_python_can_not_do_is_an_error_of_the_row(slow: Path, params: dict[str, Any]) -> None:
    """The pipeline raises for words of such a tokenizer when it is made."""
    rows = scoring.rows(scoring.scorer(slow, params=params), text=["the cat", None, "a"])
    assert [row and row["error"]["code"] for row in rows] == ["invalid_parameter", None, "invalid_parameter"]


def test_other_parameters_are_refused() -> None:
    with pytest.raises(ParameterError, match="expected aggregation to be none or simple or first or average or max"):
        parse_params("token-classification", {"aggregation": "mean"})
    with pytest.raises(ParameterError, match="expected ignore_labels to be list of str, got 'O'"):
        parse_params("token-classification", {"ignore_labels": "O"})
