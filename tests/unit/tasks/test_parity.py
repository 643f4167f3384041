"""The engine's answers against the same model run row by row in float32 with plain transformers."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline

from tests import scoring, tiny

ARCHITECTURES = ("bert", "roberta", "deberta-v2", "modernbert")


def texts(count: int = 60, seed: int = 7) -> list[str]:
    """Texts of 0 to 90 words (the tiny models take 64 tokens), some of them equal."""
    draw = random.Random(seed)
    made = [" ".join(draw.choices(tiny.WORDS, k=draw.randrange(90))) for _ in range(count)]
    return [*made, made[3], "", "  ", "ünïcode 😀 שלום \x00 nul"]


def plain_scores(folder: Path, values: list[Any], **arguments: Any) -> list[list[dict[str, Any]]]:
    """All labels of each text by transformers' own pipeline, one text at a time."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    options = {"truncation": True, "max_length": 64, **arguments}
    return [plain(value, top_k=None, **options) for value in values]


def assert_same_scores(found: list[Any], expected: list[list[dict[str, Any]]]) -> None:
    for row, want in zip(found, expected, strict=True):
        assert row["error"] is None
        assert row["label"] == want[0]["label"]
        assert row["score"] == pytest.approx(want[0]["score"], rel=1e-5, abs=1e-5)
        assert {one["label"] for one in row["scores"]} == {one["label"] for one in want}
        by_label = {one["label"]: one["score"] for one in want}
        for one in row["scores"]:
            assert one["score"] == pytest.approx(by_label[one["label"]], rel=1e-5, abs=1e-5)
        ordered = [one["score"] for one in row["scores"]]
        assert ordered == sorted(ordered, reverse=True)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_classification_equals_the_pipeline_row_by_row(tmp_path: Path, architecture: str) -> None:
    folder = tiny.save(tmp_path / architecture, architecture, num_labels=4)
    found = scoring.rows(scoring.scorer(folder, batch_tokens=256), text=texts())
    assert_same_scores(found, plain_scores(folder, texts()))


@pytest.mark.parametrize(
    ("overrides", "function"),
    [
        ({"num_labels": 3, "problem_type": "multi_label_classification"}, "sigmoid"),
        ({"num_labels": 1}, "sigmoid"),
        ({"num_labels": 1, "problem_type": "regression"}, "none"),
        ({"num_labels": 2, "problem_type": "regression"}, "none"),
    ],
)
def test_other_heads_equal_the_pipeline(tmp_path: Path, overrides: dict[str, Any], function: str) -> None:
    folder = tiny.save(tmp_path / "model", **overrides)
    made = scoring.scorer(folder)
    assert made.task.function == function
    assert_same_scores(scoring.rows(made, text=texts(20)), plain_scores(folder, texts(20)))


def test_a_function_asked_for_wins(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", num_labels=3)
    found = scoring.rows(scoring.scorer(folder, params={"function_to_apply": "sigmoid"}), text=texts(5))
    assert_same_scores(found, plain_scores(folder, texts(5), function_to_apply="sigmoid"))


def test_text_pairs_equal_the_pipeline(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", num_labels=3)
    first, second = texts(20), texts(20, seed=8)
    values = [{"text": a, "text_pair": b} for a, b in zip(first, second, strict=True)]
    made = scoring.scorer(folder, inputs=("text", "text_pair"))
    assert_same_scores(scoring.rows(made, text=first, text_pair=second), plain_scores(folder, values))


def test_a_null_pair_means_a_text_alone(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", num_labels=3)
    made = scoring.scorer(folder, inputs=("text", "text_pair"))
    alone = scoring.rows(scoring.scorer(folder), text=["the cat"])
    assert scoring.rows(made, text=["the cat"], text_pair=[None]) == alone


def test_top_k_keeps_the_best_and_not_the_shape(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", num_labels=4)
    everything = scoring.rows(scoring.scorer(folder), text=texts(5))
    best = scoring.rows(scoring.scorer(folder, params={"top_k": 2}), text=texts(5))
    for all_labels, two in zip(everything, best, strict=True):
        assert two == {**all_labels, "scores": all_labels["scores"][:2]}


def test_tokens_are_counted_and_truncation_is_flagged(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", num_labels=2)
    found = scoring.rows(scoring.scorer(folder), text=["the cat", " ".join(["the"] * 62), " ".join(["the"] * 63)])
    # the, c, ##a, ##t and two special tokens; 62 and two; 63 and two cut to 64
    assert [(row["tokens"], row["truncated"]) for row in found] == [(6, False), (64, False), (64, True)]


def plain_vector(folder: Path, text: str, pooling: str) -> np.ndarray:
    """The pooled last hidden state of one text by plain transformers."""
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    inputs = AutoTokenizer.from_pretrained(folder)(text, truncation=True, max_length=64, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**inputs).last_hidden_state[0].numpy()
    return {"mean": hidden.mean(axis=0), "cls": hidden[0], "last": hidden[-1]}[pooling]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_embeddings_equal_plain_transformers(tmp_path: Path, architecture: str, pooling: str) -> None:
    folder = tiny.save(tmp_path / "model", architecture, head="")
    made = scoring.scorer(folder, task="embeddings", params={"pooling": pooling}, batch_tokens=256)
    for text, row in zip(texts(12), scoring.rows(made, text=texts(12)), strict=True):
        np.testing.assert_allclose(row["embedding"], plain_vector(folder, text, pooling), rtol=1e-5, atol=1e-5)


def test_embeddings_are_cut_then_normalized(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", head="")
    made = scoring.scorer(folder, task="embeddings", params={"normalize": True, "dimensions": 8})
    [row] = scoring.rows(made, text=["the cat"])
    whole = plain_vector(folder, "the cat", "mean")[:8]
    np.testing.assert_allclose(row["embedding"], whole / np.linalg.norm(whole), rtol=1e-5, atol=1e-5)


def test_minilm_embeds_as_its_folder_says(minilm: Path) -> None:
    """1_Pooling asks for the mean, modules.json for normalized vectors, sentence_bert_config.json for 256 tokens."""
    values = ["A kettle that boils in a minute.", "Stiefel, die nass werden.", "", "word " * 400]
    found = scoring.rows(scoring.scorer(minilm), text=values)
    model = AutoModel.from_pretrained(minilm, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(minilm)
    for text, row in zip(values, found, strict=True):
        inputs = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            mean = model(**inputs).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(row["embedding"], mean / mean.norm(), rtol=1e-5, atol=1e-5)
    assert [row["truncated"] for row in found] == [False, False, False, True]
