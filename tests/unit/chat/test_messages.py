"""Cells of a row to what a chat template reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.chat.messages import parsed, read_messages, with_system
from engine.errors import RowError

HELLO = {"role": "user", "content": "hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": null}'}}


def test_null_fields_and_those_that_no_template_is_owed_are_left_out() -> None:
    """As of a column of structs, in which every message has every field."""
    given = {**HELLO, "name": None, "tool_calls": None, "tool_call_id": None, "refusal": "no", "weight": 3}
    assert read_messages([given]) == [HELLO]
    assert read_messages([{**HELLO, "name": "ann"}]) == [{**HELLO, "name": "ann"}]


def test_what_was_thought_is_kept_for_templates_that_read_it() -> None:
    """Qwen 3 writes the thoughts that led to a call of a tool again, until the next user."""
    for name in ("reasoning_content", "reasoning"):
        thought = {"role": "assistant", "content": "hello", name: "be polite"}
        assert read_messages([HELLO, thought]) == [HELLO, thought]


def test_a_map_is_a_message_too() -> None:
    assert read_messages([[("role", "user"), ("content", "hello"), ("name", None)]]) == [HELLO]


def test_parts_of_text_are_joined() -> None:
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo", "image_url": None}]
    assert read_messages([{"role": "user", "content": parts}]) == [HELLO]


def test_a_call_of_a_tool_keeps_its_arguments_as_an_object() -> None:
    """Templates write them as the model was trained; OpenAI's clients have them as JSON."""
    call, answer = {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "content": "3"}
    found = read_messages([HELLO, call, {**answer, "tool_call_id": "c1"}])
    made = {**CALL, "function": {"name": "add", "arguments": {"a": 1, "b": None}}}
    assert found == [HELLO, {"role": "assistant", "tool_calls": [made]}, {**answer, "tool_call_id": "c1"}]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "got a single value"),
        ("hello", "got a single value"),
        ([], "got none"),
        ([7], "no object"),
        ([{}], "without a role"),
        ([{"role": "", "content": "x"}], "without a role"),
        ([{"role": 3, "content": "x"}], "role that is no text"),
        ([{"role": "user"}], "without content"),
        ([{"role": "assistant", "content": None, "tool_calls": []}], "without content"),
        ([{"role": "user", "content": 3}], "content that is no text"),
        ([{"role": "user", "content": {"text": "x"}}], "content that is no text"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "parts that are no text"),
        ([{"role": "user", "content": [{"type": "text"}]}], "part of content that is no text"),
        ([{"role": "user", "content": "\ud800"}], "half a character"),
        ([{"role": "user", "content": "x", "name": ["a"]}], "name that is no text"),
        ([{"role": "assistant", "tool_calls": "x"}], "tool calls that are no list"),
        ([{"role": "assistant", "tool_calls": [{"id": "c"}]}], "no object"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": 1}}]}], "tool call's name that is no text"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}], "not JSON"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "3"}}]}], "no object"),
    ],
)
def test_what_is_no_conversation(value: Any, words: str) -> None:
    with pytest.raises(RowError, match=words) as caught:
        read_messages(value)
    assert caught.value.code == "invalid_messages"


@pytest.mark.parametrize("text", ["", "hello", "[", "[" * 100_000])
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(RowError, match="got text that is not JSON"):
        parsed(text)


def test_json_may_be_bytes() -> None:
    assert parsed(json.dumps([HELLO]).encode()) == [HELLO]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_system_message_is_put_in_front_where_there_is_none(role: str) -> None:
    own = [HELLO, {"role": role, "content": "shout"}]
    assert with_system([HELLO], "be kind") == [{"role": "system", "content": "be kind"}, HELLO]
    assert with_system(own, "be kind") == own
    assert with_system([HELLO], None) == [HELLO]
