from __future__ import annotations

import pytest

from engine.options import Column
from engine.schema import SCHEMAS
from jobs.page.measures import measures

LABELS = {"text-classification", "audio-classification", "zero-shot-classification", "zero-shot-audio-classification"}


def paths(task: str, **params: object) -> list[str]:
    return [one.path for one in measures(task, params)]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("text-classification", ["label", "score", "tokens", "error.code"]),
        ("token-classification", ["entities.entity", "tokens", "error.code"]),
        ("llm/v1/chat", ["choices.finish_reason", "usage.prompt_tokens", "usage.completion_tokens", "error.code"]),
        ("summarization", ["finish_reason", "prompt_tokens", "completion_tokens", "error.code"]),
        ("automatic-speech-recognition", ["language", "tokens", "duration_s", "error.code"]),
        ("embeddings", ["tokens", "error.code"]),
        ("reranking", ["score", "tokens", "error.code"]),
    ],
)
def test_what_an_answer_has_is_counted(task: str, expected: list[str]) -> None:
    assert paths(task) == expected


@pytest.mark.parametrize("task", SCHEMAS)
def test_no_measure_holds_what_a_row_says(task: str) -> None:
    assert paths(task, candidate_labels=["good", "bad"]) == paths(task)
    allowed = {"label", "entities.entity", "choices.finish_reason", "finish_reason", "language", "error.code"}
    assert {one.path for one in measures(task, {}) if one.kind == "name"} <= allowed
    assert ("label" in paths(task)) == (task in LABELS)
    assert "label" not in paths(task, candidate_labels=Column("choices"))


def test_of_a_model_outside_the_table_errors_alone_are_counted() -> None:
    assert paths("my-pipeline") == ["error.code"]
