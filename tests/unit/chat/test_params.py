"""What the parameters of chats may be."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from engine.chat.params import ChatParams
from engine.errors import ParameterError
from engine.tasks.params import describe, parse_params


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n": 0}, "expected n to be null or at least 1, got 0"),
        ({"n": 129}, "expected n to be 1 to 128, got 129"),
        ({"max_tokens": -1}, "max_tokens to be null or at least 0"),
        ({"min_tokens": 3, "max_tokens": 2}, "min_tokens of at most max_tokens, 2, got 3"),
        ({"temperature": -0.1}, "temperature to be 0 to inf"),
        ({"temperature": math.nan}, "temperature to be 0 to inf, got nan"),
        ({"temperature": math.inf}, "temperature to be 0 to inf, got inf"),
        ({"top_p": 0.0}, "top_p and repetition_penalty above 0"),
        ({"top_p": 1.1}, "top_p to be 0 to 1"),
        ({"min_p": 2}, "min_p to be 0 to 1"),
        ({"repetition_penalty": 0.0}, "above 0"),
        ({"presence_penalty": 2.5}, "presence_penalty to be -2 to 2"),
        ({"frequency_penalty": -3}, "frequency_penalty to be -2 to 2"),
        ({"top_logprobs": 3}, "expected logprobs: true where top_logprobs is given"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs to be 0 to 20"),
        ({"logit_bias": {"word": 1}}, "token ids as keys of logit_bias"),
        ({"logit_bias": {"-1": 1}}, "token ids as keys of logit_bias"),
        ({"logit_bias": {"9" * 5000: 1}}, "token ids as keys of logit_bias"),
        ({"stop": ["\ud800"]}, "half a character"),
        ({"logit_bias": {"1": 101}}, "logit_bias to be -100 to 100"),
        ({"logit_bias": {"1": "much"}}, "expected logit_bias to be mapping to float or null"),
        ({"stop": ["a", ""]}, "stop to be strings that are not empty"),
        ({"stop": ""}, "stop to be strings that are not empty"),
        ({"stop": [1]}, "expected stop to be list of str or str"),
        ({"template_args": {"tokenize": True}}, "other template_args than tokenize"),
        ({"tools": {"type": "function"}}, "expected tools to be list of mapping to any value"),
        ({"long_prompt": "truncate"}, "long_prompt to be error or truncate_left or truncate_right"),
        ({"strings": "yaml"}, "strings to be text or json"),
        ({"response_format": "json"}, "response_format to be mapping to any value or null"),
    ],
)
def test_what_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        parse_params("llm/v1/chat", given)


def test_what_is_taken() -> None:
    given = {"temperature": Decimal("0.7"), "stop": ["a", "b"], "logit_bias": {5: 1, "6": -2.5}, "max_tokens": 0}
    found = parse_params("llm/v1/chat", {**given, "tools": [{"type": "function", "function": {"name": "f"}}]})
    assert (found.temperature, found.stops, found.max_tokens) == (0.7, ("a", "b"), 0)
    assert ChatParams(stop="end").stops == ("end",)


@pytest.mark.parametrize(
    ("given", "samples"),
    [({}, None), ({"temperature": 0.0, "top_p": 0.5}, False), ({"temperature": 0.1}, True), ({"min_p": 0.1}, True)],
)
def test_what_says_whether_tokens_are_drawn(given: dict[str, Any], samples: bool | None) -> None:
    assert ChatParams(**given).samples is samples


def test_every_parameter_can_be_said_in_words() -> None:
    words = {name: (kind, default) for name, kind, default in describe("llm/v1/chat")}
    assert words["stop"] == ("list of str or str", "[]")
    assert words["tools"] == ("list of mapping to any value", "[]")
    assert words["logit_bias"] == ("mapping to float or null", "null")
