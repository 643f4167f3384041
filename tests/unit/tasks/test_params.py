"""Parameters are checked by name and type, in the words of someone who writes YAML."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.errors import ParameterError, UnsupportedTaskError
from engine.options import Column
from engine.tasks import TASKS, task_class
from engine.tasks.embeddings import EmbeddingsParams
from engine.tasks.params import describe, parse_params, takes
from engine.tasks.text_classification import TextClassificationParams


@pytest.mark.parametrize(
    ("task", "params", "expected"),
    [
        ("text-classification", {}, TextClassificationParams(top_k=None, function_to_apply="auto", max_length=None)),
        (
            "text-classification",
            {"top_k": 2, "function_to_apply": "sigmoid", "max_length": 9},
            TextClassificationParams(top_k=2, function_to_apply="sigmoid", max_length=9),
        ),
        ("text-classification", {"top_k": None}, TextClassificationParams()),
        ("embeddings", {"normalize": True, "pooling": "cls"}, EmbeddingsParams(pooling="cls", normalize=True)),
        ("embeddings", {"dimensions": 1}, EmbeddingsParams(dimensions=1)),
    ],
)
def test_good_parameters_are_taken_over_the_defaults(task: str, params: dict[str, Any], expected: Any) -> None:
    assert parse_params(task, params) == expected


@pytest.mark.parametrize(
    ("task", "params", "message"),
    [
        (
            "embeddings",
            {"top_k": 1},
            "embeddings has no parameter 'top_k'; it takes pooling: auto or mean",
        ),
        ("embeddings", {"normalize": 1}, "expected normalize to be true or false or null, got 1"),
        ("embeddings", {"pooling": "max"}, "expected pooling to be auto or mean or cls or last, got 'max'"),
        ("embeddings", {"pooling": None}, "expected pooling to be auto or mean or cls or last, got None"),
        ("embeddings", {"dimensions": 0}, "expected dimensions to be null or at least 1, got 0"),
        ("text-classification", {"top_k": True}, "expected top_k to be int or null, got True"),
        ("text-classification", {"top_k": 2.0}, "expected top_k to be int or null, got 2.0"),
        ("text-classification", {"top_k": "2"}, "expected top_k to be int or null, got '2'"),
        ("text-classification", {"max_length": -1}, "expected max_length to be null or at least 1, got -1"),
    ],
)
def test_bad_parameters_are_refused_with_what_the_task_takes(task: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        parse_params(task, params)
    assert message in str(caught.value)


def test_a_column_is_left_to_its_rows_but_not_its_name() -> None:
    assert parse_params("text-classification", {"top_k": Column("k"), "max_length": 5}).top_k is None
    with pytest.raises(ParameterError, match="text-classification has no parameter 'pooling'"):
        parse_params("text-classification", {"pooling": Column("k")})


def test_a_columns_default_is_checked_like_a_value() -> None:
    assert parse_params("text-classification", {"top_k": Column("k", default=2)}).top_k == 2
    with pytest.raises(ParameterError, match="expected top_k to be int or null, got 'all'"):
        parse_params("text-classification", {"top_k": Column("k", default="all")})


def test_a_decimal_is_a_float_and_no_int() -> None:
    temperature = parse_params("text-generation", {"temperature": Decimal("0.7")}).temperature
    assert (temperature, type(temperature)) == (0.7, float)
    with pytest.raises(ParameterError, match="expected top_k to be int or null"):
        parse_params("text-classification", {"top_k": Decimal(2)})


def test_a_task_that_is_not_there_has_no_parameters() -> None:
    with pytest.raises(UnsupportedTaskError, match="'no-such-task'"):
        parse_params("no-such-task", {})


def test_parameters_are_described_in_words() -> None:
    assert describe("embeddings") == [
        ("pooling", "auto or mean or cls or last", "auto"),
        ("normalize", "true or false or null", "null"),
        ("dimensions", "int or null", "null"),
        ("chunk_pooling", "mean or max", "mean"),
        ("max_length", "int or null", "null"),
        ("long_text", "truncate or error or chunk", "truncate"),
        ("stride", "int or null", "null"),
    ]
    assert takes("text-classification") == (
        "top_k: int or null = null; function_to_apply: auto or softmax or sigmoid or none = auto; "
        "chunk_pooling: mean or max = mean; max_length: int or null = null; "
        "long_text: truncate or error or chunk = truncate; stride: int or null = null"
    )


@pytest.mark.parametrize("task", TASKS)
def test_every_default_is_a_good_parameter(task: str) -> None:
    needed = {name: ["one"] for name in task_class(task).required}
    defaults = parse_params(task, needed)
    assert parse_params(task, vars(defaults)) == defaults
