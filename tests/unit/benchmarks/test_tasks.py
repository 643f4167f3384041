"""The benchmark of the other tasks: its rows, its heads, what it calls the same answer, and the stock pipelines."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from benchmarks.command import some_of
from benchmarks.pipelines import STOCK, inputs_of
from benchmarks.tasks.answers import difference, largest, same
from benchmarks.tasks.case import Settings, specs
from benchmarks.tasks.rows import KINDS, mean_tokens
from benchmarks.text.models import save_random
from benchmarks.text.texts import texts, tokens_of
from engine.schema import schema_of

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
TASKS = list(KINDS)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {task: save_random(folder / task, task, initializer_range=0.4, **SIZES) for task in TASKS}


def columns(task: str, rows: list[Any]) -> list[pd.Series]:
    lists = [rows] if isinstance(rows[0], str) else zip(*rows, strict=True)
    return [pd.Series(list(one)) for one in lists]


def by_pipeline(task: str, model: Path, rows: list[Any], batch_size: int = 1) -> pd.DataFrame:
    from transformers import pipeline

    run = pipeline(STOCK[task].pipeline, model=str(model), device="cpu")
    return STOCK[task].score(run, columns(task, rows), KINDS[task].params, batch_size)


def logits(model: Path, *texts: str) -> list[float]:
    """Of a sequence-classification head, by plain transformers."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    loaded = AutoModelForSequenceClassification.from_pretrained(model).eval()
    with torch.inference_mode():
        found: list[float] = (
            loaded(**AutoTokenizer.from_pretrained(model)(*texts, return_tensors="pt")).logits[0].tolist()
        )
    return found


@pytest.mark.parametrize("task", TASKS)
def test_rows_are_distinct_and_as_long_as_they_say(task: str) -> None:
    kind = KINDS[task]
    rows = kind.rows(300)
    assert len({json.dumps(row) for row in rows}) == 300
    means = mean_tokens(task, rows)
    assert list(means) == inputs_of(task)
    assert list(means.values()) == pytest.approx(kind.tokens, rel=0.01)
    assert kind.count(10_000) == {27: 10_000, 69: 1956, 132: 1022}[kind.row_tokens]


def test_hypotheses_have_the_tokens_that_were_reckoned_with(models: dict[str, Path]) -> None:
    from transformers import AutoTokenizer

    kind = KINDS["zero-shot-classification"]
    tokenizer = AutoTokenizer.from_pretrained(models["zero-shot-classification"])
    text = kind.rows(1)[0]
    pairs = [tokenizer(text, f"This example is {label}.")["input_ids"] for label in kind.params["candidate_labels"]]
    assert sum(map(len, pairs)) - 4 * tokens_of(text) == kind.row_tokens - 4 * 27


def test_one_token_in_ten_is_in_an_entity(models: dict[str, Path]) -> None:
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    folder = models["token-classification"]
    model, tokenizer = AutoModelForTokenClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        found = torch.cat([model(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts(64, 27)])
    assert (found.argmax(dim=1) != 0).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert found.std(dim=0).tolist() == pytest.approx([2.0] * 7, rel=0.01)


def test_the_pipeline_reranks_as_the_model_alone(models: dict[str, Path]) -> None:
    rows = KINDS["reranking"].rows(12)
    found = by_pipeline("reranking", models["reranking"], rows)
    expected = [1 / (1 + math.exp(-logits(models["reranking"], *row)[0])) for row in rows]
    assert found["score"].tolist() == pytest.approx(expected, abs=1e-5)
    assert max(expected) - min(expected) > 0.1  # answers that differ, or nothing would be compared


def test_the_pipeline_ranks_labels_as_the_model_alone(models: dict[str, Path]) -> None:
    task = "zero-shot-classification"
    rows = KINDS[task].rows(6)
    found = by_pipeline(task, models[task], rows, batch_size=4)
    for text, label, scores in zip(rows, found["label"], found["scores"], strict=True):
        entailed = {
            name: math.exp(logits(models[task], text, f"This example is {name}.")[2])
            for name in KINDS[task].params["candidate_labels"]
        }
        expected = {name: value / sum(entailed.values()) for name, value in entailed.items()}
        assert {one["label"]: one["score"] for one in scores} == pytest.approx(expected, abs=1e-5)
        assert label == max(expected, key=expected.__getitem__)


def test_the_pipeline_gives_entities_with_their_places(models: dict[str, Path]) -> None:
    rows = KINDS["token-classification"].rows(20)
    found = by_pipeline("token-classification", models["token-classification"], rows)["entities"]
    entities = [(text, one) for text, ones in zip(rows, found, strict=True) for one in ones]
    assert {one["entity"] for _, one in entities} <= {"PER", "ORG", "LOC"}
    assert entities
    assert all(text[one["start"] : one["end"]] == one["word"] for text, one in entities)


@pytest.mark.parametrize("task", TASKS)
def test_structs_are_named_as_the_engines(task: str, models: dict[str, Path]) -> None:
    found = by_pipeline(task, models[task], KINDS[task].rows(2))
    fields = {field.name: field.type for field in schema_of(task).fields}
    assert set(found.columns) <= fields.keys()
    for name in found.columns:
        if pa.types.is_list(fields[name]):
            expected = {field.name for field in fields[name].value_type}
            assert all(set(one) == expected for ones in found[name] for one in ones)


@pytest.mark.parametrize("task", TASKS)
def test_engine_and_pipeline_agree(task: str, models: dict[str, Path]) -> None:
    from engine.models.bundle import make_bundle
    from engine.models.load import load
    from engine.models.registry import resolve
    from engine.options import Request
    from engine.scorer import Scorer
    from engine.tasks import task_class

    rows = KINDS[task].rows(30)
    loaded = load(make_bundle(resolve(str(models[task]), task=task), "float32").path, "cpu")
    request = Request(inputs={name: name for name in inputs_of(task)}, params=KINDS[task].params)
    batch = pa.record_batch(dict(zip(inputs_of(task), map(pa.array, columns(task, rows)), strict=True)))
    (scored,) = Scorer(task_class(task)(loaded), request, batch_tokens=512).score([batch])
    found = by_pipeline(task, models[task], rows)
    for name in found.columns:
        ours = dict(enumerate(map(json.dumps, scored.result.field(name).to_pylist())))
        stock = dict(enumerate(map(json.dumps, found[name].tolist())))
        assert all(same(ours[row], stock[row]) for row in stock)
        assert largest(ours, stock) <= 1e-5


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("0.25", "0.5", 0.25),
        ("[]", "[]", 0.0),
        ('[{"entity":"PER","score":0.5,"start":1}]', '[{"start":1,"entity":"PER","score":0.75}]', 0.25),
        ('[{"entity":"PER","score":0.5,"start":1}]', '[{"entity":"PER","score":0.5,"start":2}]', None),
        ('[{"entity":"PER","score":0.5}]', '[{"entity":"LOC","score":0.5}]', None),
        ('[{"entity":"PER","score":0.5}]', "[]", None),
        ('{"a":0.75,"b":0.25}', '{"b":0.375,"a":0.625}', 0.125),
        ('{"a":0.51,"b":0.49}', '{"a":0.49,"b":0.51}', None),  # another label is the best
        ('{"a":0.75,"b":0.25}', '{"a":0.75,"c":0.25}', None),
        (None, "0.5", None),
        (None, None, None),
    ],
)
def test_answers_differ_in_their_scores_or_altogether(one: str | None, other: str | None, expected: Any) -> None:
    assert difference(one, other) == expected


def test_near_scores_are_the_same() -> None:
    assert same("0.5", "0.509")
    assert not same("0.5", "0.511")
    assert largest({0: "0.5", 1: "0.25", 2: "[]"}, {0: "0.75", 1: "0.375", 3: "0.9"}) == 0.25


def test_the_engine_scores_all_rows_and_the_pipelines_a_part(tmp_path: Path) -> None:
    asked = Settings(
        tasks=("reranking",), texts=400, rival_texts=100, runs=1, only=("engine", "stock"), dtype="float32"
    )
    made = specs("reranking", asked, tmp_path, tmp_path / "model")
    assert {name: (spec.way, spec.rows, spec.cold_rows) for name, spec in made.items()} == {
        "engine": ("engine", 78, 4),  # 69 tokens a row: 400 · 27 / (2 · 69)
        "stock": ("stock", 19, 4),
    }
    assert made["engine"].task == "reranking"


def test_options_name_some_of_several() -> None:
    read = some_of(("a", "b", "c"), first=("a", "b"))
    assert read("c,a") == ("a", "c")
    assert read("first") == ("a", "b")
    with pytest.raises(argparse.ArgumentTypeError, match="expected some of first, a, b, c; got d, e"):
        read("e,d,a")
