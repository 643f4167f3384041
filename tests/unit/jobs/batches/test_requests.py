"""Lines of a batch file, read as columns."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from jobs.batches import ROWS
from jobs.batches.endpoints import ENDPOINTS
from jobs.batches.requests import read, schema
from jobs.batches.source import _reader

CHAT = ENDPOINTS["llm/v1/chat"]
COMPLETIONS = ENDPOINTS["llm/v1/completions"]
EMBEDDINGS = ENDPOINTS["llm/v1/embeddings"]


def one(line: str | bytes, endpoint: Any = COMPLETIONS) -> dict[str, Any]:
    """The row of a line, without its nulls."""
    found = read(pa.array([line.encode() if isinstance(line, str) else line]), endpoint)
    assert found.schema == schema(endpoint)
    return {name: value for name, value in found.to_pylist()[0].items() if value is not None}


def line(endpoint: Any = COMPLETIONS, **body: Any) -> str:
    return json.dumps({"custom_id": "r", "method": "POST", "url": endpoint.url, "body": body})


def test_a_chat_keeps_its_body_whole_and_in_order() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hé 𝄞"}], "z": 1.50, "a": {"y": 1, "b": None}}
    row = one(line(CHAT, **body), CHAT)
    assert row == {
        "custom_id": "r",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": '{"model":"m","messages":[{"role":"user","content":"hé 𝄞"}],"z":1.5,"a":{"y":1,"b":null}}',
    }


def test_a_completion_gives_prompt_and_parameters() -> None:
    body = {
        "model": "m",
        "prompt": "Once",
        "max_tokens": 7,
        "temperature": 1,
        "stop": "\n",
        "n": 2,
        "seed": -3,
        "top_p": 0.9,
        "echo": False,
        "frequency_penalty": 0.0,
        "suffix": None,
        "user": "u",
    }
    row = one(line(**body))
    asked = {name: row[name] for name in ("prompt", "max_tokens", "temperature", "stop", "n", "seed", "top_p")}
    assert asked == {
        "prompt": "Once",
        "max_tokens": 7,
        "temperature": 1.0,
        "stop": ["\n"],
        "n": 2,
        "seed": -3,
        "top_p": 0.9,
    }
    assert "_refused" not in row
    assert one(line(prompt=["Once"]))["prompt"] == "Once"


def test_embeddings_take_a_text_or_several() -> None:
    assert one(line(EMBEDDINGS, input="a"), EMBEDDINGS)["input"] == ["a"]
    row = one(line(EMBEDDINGS, input=["a", ""], dimensions=8, encoding_format="float"), EMBEDDINGS)
    assert (row["input"], row["dimensions"]) == (["a", ""], 8)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "expected a line of JSON, it stops being JSON at character 2"),
        ("{} x", "it stops being JSON at character 4"),
        ("[]", "expected an object a line, got an empty one"),
        (b"\xff{}", "expected a line in UTF-8"),
        ('{"custom_id": "a", "x": NaN}', "expected JSON with numbers"),
        ('{"a":' * 100_000, "expected JSON with numbers and nesting"),
        ('{"body": {}}', "expected custom_id to be a text that is not empty, got none"),
        ('{"custom_id": ""}', "got an empty one"),
        ('{"custom_id": "a", "method": "GET"}', "expected method POST"),
        ('{"custom_id": "a", "method": "POST", "url": "/v1/embeddings"}', "expected url /v1/completions"),
        ('{"custom_id": "a", "method": "POST", "url": "/v1/completions"}', "expected body to be an object, got none"),
        (line(), "expected body.prompt to be a text, got none"),
        (line(prompt=[1, 2]), "expected body.prompt to be a text, got a list"),
        (line(prompt=["a", "b"]), "expected one text in body.prompt, got 2: write a line for each"),
        (line(prompt="a", max_tokens="5"), "expected body.max_tokens to be a whole number of 64 bits, got a text"),
        (line(prompt="a", max_tokens=True), "got true or false"),
        (line(prompt="a", seed=1 << 63), "expected body.seed to be a whole number of 64 bits"),
        (line(prompt="a", temperature=10**400), "expected body.temperature to be a number that a double can hold"),
        (line(prompt="a", echo=True), "expected no body.echo, or a value of it that asks for nothing"),
        (line(prompt="a", frequency_penalty=0.5), "expected no body.frequency_penalty"),
        (line(prompt="a", secret_key=1), "expected keys that the endpoint has; this job takes prompt, max_tokens"),
        (line(prompt="\ud800"), "expected Unicode text, got half of a surrogate pair"),
        (line(prompt="a", temperature=0).replace("0}", "1e999}"), "expected JSON with numbers"),
    ],
)
def test_a_line_that_is_no_request_says_why(text: str | bytes, why: str) -> None:
    row = one(text)
    assert why in row["_refused"]
    assert set(row) <= {"custom_id", "_refused"}


def test_the_reason_never_carries_the_line() -> None:
    for text in ('{"custom_id": "r", "top secret', line(prompt=1, other="top secret"), line(**{"top secret": 1})):
        assert "secret" not in one(text)["_refused"]


def test_a_number_as_custom_id_is_refused_and_found() -> None:
    assert one('{"custom_id": 17}') == {
        "custom_id": "17",
        "_refused": "expected custom_id to be a text that is not empty, got a number",
    }


def test_bad_lines_cost_only_themselves() -> None:
    lines = pa.array([line(prompt="a").encode(), b"no", "\ufeff".encode() + line(prompt="b").encode()])
    assert read(lines, COMPLETIONS).column("prompt").to_pylist() == ["a", None, "b"]


def test_few_lines_are_values_of_pythons_at_once() -> None:
    texts = pa.record_batch([pa.array([line(CHAT).encode()] * (2 * ROWS + 1))], ["value"])
    assert [batch.num_rows for batch in _reader(CHAT)(iter([texts]))] == [ROWS, ROWS, 1]
