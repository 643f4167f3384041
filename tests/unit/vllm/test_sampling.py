"""Every field of a Decoding, as vLLM is asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from engine.errors import RowError
from engine.generation.backend import Decoding, Prompt
from engine.vllm.sampling import constraint, sampling

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}


class Format:
    """A grammar that knows what it was made from."""

    def __init__(self, response_format: Mapping[str, Any]) -> None:
        self.response_format = response_format

    def matcher(self) -> Any:
        raise AssertionError("vLLM makes its own")


def asked(key: int = 0, end: int | None = 3, **fields: Any) -> dict[str, Any]:
    return sampling(Prompt(0, np.array([5, 6], np.int64), Decoding(**{"max_tokens": 7, **fields}), key), end, 100)


def test_defaults_leave_nothing_to_the_model() -> None:
    assert asked() == {
        "n": 1,
        "max_tokens": 7,
        "min_tokens": 0,
        "temperature": 0.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "seed": None,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "logit_bias": None,
        "logprobs": 0,
        "flat_logprobs": True,
        "stop": [],
        "include_stop_str_in_output": True,
        "stop_token_ids": [],
        "ignore_eos": True,
        "detokenize": False,
        "skip_special_tokens": True,
        "structured_outputs": None,
    }


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("max_tokens", 9, {"max_tokens": 9}),
        ("min_tokens", 2, {"min_tokens": 2}),
        ("temperature", 0.7, {"temperature": 0.7, "seed": 0}),
        ("top_k", 5, {"top_k": 5}),
        ("top_p", 0.5, {"top_p": 0.5}),
        ("min_p", 0.1, {"min_p": 0.1}),
        ("repetition_penalty", 1.2, {"repetition_penalty": 1.2}),
        ("presence_penalty", -1.5, {"presence_penalty": -1.5}),
        ("frequency_penalty", 0.3, {"frequency_penalty": 0.3}),
        ("logit_bias", {4: -100.0}, {"logit_bias": {4: -100.0}}),
        ("top_logprobs", 0, {"logprobs": 0}),
        ("top_logprobs", 4, {"logprobs": 4}),
        ("ends", (3, 8, 100), {"stop_token_ids": [3, 8]}),  # the vocabulary ends with 99
        ("stop", ("a b", "."), {"stop": ["a b", "."], "detokenize": True}),
        (
            "grammar",
            Format({"type": "choice", "choices": ["a", "b"]}),
            {"structured_outputs": {"choice": ["a", "b"]}, "stop_token_ids": [3]},
        ),
    ],
)
def test_a_field_changes_what_is_asked(field: str, value: Any, expected: dict[str, Any]) -> None:
    assert asked(**{field: value}) == {**asked(), **expected}


def test_every_field_is_mapped() -> None:
    tested = {mark.args[1][i][0] for mark in test_a_field_changes_what_is_asked.pytestmark for i in range(15)}
    assert tested == set(Decoding.__dataclass_fields__)


def test_seed_is_the_key_in_63_bits() -> None:
    assert asked(key=(1 << 127) + (1 << 63) + 41, temperature=1.0)["seed"] == 41
    assert asked(key=41)["seed"] is None  # nothing is drawn


def test_a_grammar_ends_with_the_end_token_once() -> None:
    grammar = Format({"type": "json_object"})
    assert asked(grammar=grammar, ends=(8,))["stop_token_ids"] == [8, 3]
    assert asked(grammar=grammar, ends=(3, 8))["stop_token_ids"] == [3, 8]
    assert asked(grammar=grammar, ends=(8,), end=None)["stop_token_ids"] == [8]


@pytest.mark.parametrize(
    ("response_format", "expected"),
    [
        ({"type": "json_object"}, {"json_object": True}),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}, {"json": SCHEMA}),
        ({"type": "regex", "pattern": "[a-z]+"}, {"regex": "[a-z]+"}),
        ({"type": "choice", "choices": ("yes", "no")}, {"choice": ["yes", "no"]}),
    ],
)
def test_formats(response_format: Mapping[str, Any], expected: dict[str, Any]) -> None:
    assert constraint(response_format) == expected


def test_what_vllm_would_change_is_refused() -> None:
    with pytest.raises(RowError, match=r"invalid_parameter: expected a temperature of 0 or at least 0\.01"):
        asked(temperature=0.001)
    with pytest.raises(RowError, match="json_object, json_schema, regex or choice for vLLM, got xml"):
        constraint({"type": "xml"})
