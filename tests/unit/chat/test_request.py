"""A request's parameters under our names."""

from __future__ import annotations

from typing import Any

import pytest

from engine.chat.request import parameters
from engine.errors import RowError


def test_openais_names_are_ours() -> None:
    assert parameters({"max_completion_tokens": 5, "max_tokens": 3, "top_p": 0.5, "stop": None}) == {
        "max_tokens": 5,
        "top_p": 0.5,
    }


def test_what_does_not_change_the_answer_is_ignored() -> None:
    ignored = {"model": "gpt", "user": "u", "metadata": {"a": 1}, "store": True, "service_tier": "flex"}
    harmless = {"stream": False, "tool_choice": "auto", "parallel_tool_calls": True, "modalities": ["text"]}
    assert parameters({**ignored, **harmless, "n": 2, "functions": None}) == {"n": 2}


def test_arguments_of_the_template_under_vllms_names() -> None:
    given = {"chat_template_kwargs": {"enable_thinking": False}, "continue_final_message": True}
    assert parameters(given) == {"template_args": {"enable_thinking": False, "continue_final_message": True}}


def test_tools_that_may_not_be_called_are_none() -> None:
    for given in ({"tools": [{"type": "function"}]}, {}):  # those of the definition are none, too
        assert parameters({**given, "tool_choice": "none"}) == {"tools": []}


@pytest.mark.parametrize(
    "given",
    [
        {"stream": True},
        {"tool_choice": "required"},
        {"parallel_tool_calls": False},
        {"modalities": ["text", "audio"]},
        {"best_of": 2},
        {"a secret": 2},
        {"chat_template": "{{ messages }}"},
        {"strings": "json"},
    ],
)
def test_what_would_change_the_answer_is_an_error(given: dict[str, Any]) -> None:
    with pytest.raises(RowError) as caught:
        parameters(given)
    assert caught.value.code == "invalid_parameter"
    assert "secret" not in caught.value.message
