"""Which jobs may be traced, and what a row asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.errors import ParameterError
from jobs.definition import made
from jobs.errors import DefinitionError
from jobs.tracking.traces import check, messages

ASKED = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "go"}]


def data(**keys: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "name": "chats",
        "model": "models:/assistant@champion",
        "source": {"table": "chats", "key": ["id"], "inputs": {"messages": "talk"}},
        "sink": {"table": "chats_answered"},
        **keys,
    }


def test_chats_may_be_traced() -> None:
    definition = made(data(task="llm/v1/chat", tracking={"traces": 20, "trace_text": True}))
    check(definition, "llm/v1/chat")
    check(made(data()), "text-classification")


def test_nothing_else_is_traced() -> None:
    wrong = data(task="embeddings", tracking={"traces": 20})
    wrong["source"]["inputs"] = "talk"
    with pytest.raises(DefinitionError, match="tracking: expected traces of llm/v1/chat alone, got some of embeddings"):
        made(wrong)
    definition = made(data(tracking={"traces": 20}))
    with pytest.raises(ParameterError, match="models:/assistant@champion is scored for text-classification: remove it"):
        check(definition, "text-classification")


@pytest.mark.parametrize(
    ("tracking", "problem"),
    [
        ({"trace_text": True}, "tracking.trace_text: expected traces to write text into, got none; write traces: 20"),
        ({"traces": 1001}, "tracking.traces: expected a whole number from 0 to 1000"),
        ({"traces": True}, "tracking.traces: expected a whole number from 0 to 1000"),
    ],
)
def test_settings_are_checked(tracking: dict[str, Any], problem: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        made(data(tracking=tracking))
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("held", "plain", "asked"),
    [
        ("what can they do", True, [{"role": "user", "content": "what can they do"}]),
        (json.dumps(ASKED), True, [{"role": "user", "content": json.dumps(ASKED)}]),
        (json.dumps(ASKED), False, ASKED),
        (json.dumps({"model": "m", "messages": ASKED}), False, ASKED),
        ("no JSON", False, None),
        ("[]", False, None),
        ("{}", False, None),
        (None, False, None),
    ],
)
def test_what_a_row_asked(held: str | None, plain: bool, asked: list[dict[str, str]] | None) -> None:
    assert messages(held, plain=plain) == asked
