"""Calls of tools in a text."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.chat.tools import Call, calls

PLAIN = SimpleNamespace()
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Zürich"}}\n</tool_call>'


def test_calls_are_taken_out_of_what_is_said() -> None:
    twice = f"I look.\n{CALL}{CALL.replace('weather', 'time').replace('arguments', 'parameters')}"
    assert calls(PLAIN, twice, ()) == (
        "I look.",
        (Call("weather", '{"city": "Zürich"}'), Call("time", '{"city": "Zürich"}')),
    )
    assert calls(PLAIN, CALL, ())[0] is None


@pytest.mark.parametrize(
    "text",
    [
        "no call",
        "<tool_call>{</tool_call>",
        "<tool_call>[1]</tool_call>",
        '<tool_call>{"name": 1}</tool_call>',
        '<tool_call>{"name": "f", "arguments": 3}</tool_call>',
        CALL + "<tool_call>{</tool_call>",
        '<tool_call>{"name": "f", "arguments": {}}',
        "<tool_call>" + "[" * 100_000 + "</tool_call>",
    ],
)
def test_what_cannot_be_read_stays_text(text: str) -> None:
    assert calls(PLAIN, text, ()) == (text, ())


class Parsing:
    """A tokenizer that says how its model's answers are parsed."""

    response_template: dict[str, Any] = {}  # noqa: RUF012

    def decode(self, ids: Any) -> str:
        return f"prompt of {len(ids)}"

    def parse_response(self, text: str, *, prefix: str) -> dict[str, Any]:
        if text == "broken":
            raise ValueError(text)
        function = {"name": "f", "arguments": {"seen": prefix}}
        return {"role": "assistant", "content": "so", "tool_calls": [{"type": "function", "function": function}]}


def test_a_tokenizer_that_can_parses() -> None:
    assert calls(Parsing(), "call f", [1, 2]) == ("so", (Call("f", '{"seen": "prompt of 2"}'),))
    assert calls(Parsing(), "broken", [1, 2]) == ("broken", ())
