"""Scores of pairs against the plain cross-encoder, run row by row in float32."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Final

import pytest

from engine.errors import ParameterError, UnsupportedTaskError
from tests import scoring, tiny

TASK: Final = "reranking"


def pairs() -> list[tuple[str, str]]:
    """Queries and passages of 0 to 60 words (the tiny models take 64 tokens), some empty, some equal."""
    draw = random.Random(5)
    made = [tuple(" ".join(draw.choices(tiny.WORDS, k=draw.randrange(most))) for most in (20, 60)) for _ in range(20)]
    odd = [
        ("how", ""),
        ("", "the cat"),
        ("", ""),
        ("the " * 90, "cat"),
        ("how", "water " * 5000),
        ("שלום 😀", "für the"),
    ]
    return [*made, *odd, made[3], ("the " * 80, "day " * 80)]


def save(folder: Path, architecture: str = "bert", **config: Any) -> Path:
    return tiny.save(folder, architecture, **{"num_labels": 1, **config})


def plain(folder: Path, *, activation: str = "Sigmoid") -> list[float]:
    """The score of each pair in a batch of one, as sentence-transformers tokenizes and activates it."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    options = {"truncation": "longest_first", "max_length": 64, "return_tensors": "pt"}
    with torch.no_grad():
        logits = [model(**tokenizer([query], [passage], **options)).logits[0, 0] for query, passage in pairs()]
    return [float(getattr(torch.nn, activation)()(logit)) for logit in logits]


def scores(folder: Path, **params: Any) -> list[float]:
    queries, passages = zip(*pairs(), strict=True)
    made = scoring.scorer(folder, task=TASK, inputs=("query", "passage"), batch_tokens=256, params=params)
    rows = scoring.rows(made, query=queries, passage=passages)
    assert {row["error"] for row in rows if row} == {None}
    return [row["score"] for row in rows if row]


@pytest.mark.parametrize("architecture", ["bert", "roberta", "deberta-v2"])
def test_scores_equal_the_plain_model_row_by_row(tmp_path: Path, architecture: str) -> None:
    folder = save(tmp_path / "model", architecture)
    expected = plain(folder)
    assert max(expected) - min(expected) > 0.01  # not all the same
    assert scores(folder) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("config", "shipped"),
    [
        ({}, "Sigmoid"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}, "Sigmoid"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, "Identity"),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, "Identity"),
    ],
)
def test_the_activation_is_the_one_shipped(tmp_path: Path, config: dict[str, Any], shipped: str) -> None:
    folder = save(tmp_path / "model", **config)
    assert scores(folder) == pytest.approx(plain(folder, activation=shipped), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(("function", "activation"), [("sigmoid", "Sigmoid"), ("none", "Identity")])
def test_a_function_asked_for_wins(tmp_path: Path, function: str, activation: str) -> None:
    other = {"sigmoid": "torch.nn.modules.linear.Identity", "none": "torch.nn.modules.activation.Sigmoid"}[function]
    folder = save(tmp_path / "model", sentence_transformers={"activation_fn": other})
    expected = plain(folder, activation=activation)
    assert scores(folder, function_to_apply=function) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_another_activation_is_refused_unless_a_function_is_asked_for(tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    named = {"activation_fn": "torch.nn.modules.activation.Tanh"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(named))
    with pytest.raises(ParameterError, match=r"it ships torch\.nn\.modules\.activation\.Tanh: give function_to_apply"):
        scores(folder)
    assert scores(folder, function_to_apply="none") == pytest.approx(plain(folder, activation="Identity"), abs=1e-5)


@pytest.mark.parametrize("labels", [2, 3])
def test_more_than_one_output_is_refused(tmp_path: Path, labels: int) -> None:
    folder = save(tmp_path / "model", num_labels=labels)
    with pytest.raises(UnsupportedTaskError, match=rf"one output for reranking, the model has {labels} labels: score"):
        scores(folder)


def test_an_empty_passage_is_a_segment_and_a_null_has_no_score(tmp_path: Path) -> None:
    made = scoring.scorer(save(tmp_path / "model"), task=TASK, inputs=("query", "passage"))
    empty, null, missing = scoring.rows(made, query=["how", "how", None], passage=["", None, ""])
    assert (empty["tokens"], empty["truncated"]) == (4, False)  # [CLS] how [SEP] [SEP]
    assert null is None
    assert missing is None


def test_the_longer_text_is_cut_and_flagged(tmp_path: Path) -> None:
    made = scoring.scorer(save(tmp_path / "model"), task=TASK, inputs=("query", "passage"))
    fits, cut = scoring.rows(made, query=["how", "how"], passage=["the " * 60, "the " * 61])
    assert [(row["tokens"], row["truncated"]) for row in (fits, cut)] == [(64, False), (64, True)]


def test_sentence_transformers_itself_gives_these_scores(tmp_path: Path) -> None:
    """The folder as its CrossEncoder writes it, which names the activation in a file of its own."""
    from sentence_transformers import CrossEncoder
    from torch.nn import Identity

    kept = CrossEncoder(str(save(tmp_path / "model")), device="cpu", activation_fn=Identity())
    kept.save_pretrained(str(tmp_path / "saved"))
    expected = kept.predict(pairs(), show_progress_bar=False, batch_size=1)
    assert scores(tmp_path / "saved") == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-5)
