"""Structs as the lines of OpenAI's files, against lines written by hand from its API reference."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from engine.schema import schema_of
from jobs.batches.answers import Answer, Answers


def lines(task: str, results: list[Any], ids: list[Any] | None = None) -> list[str]:
    """The lines of these structs, as they come from Arrow."""
    columns = [
        pa.array([f"r{i}" for i in range(len(results))] if ids is None else ids),
        pa.array(results, schema_of(task).output),
        pa.array([1700000000] * len(results), pa.int64()),
        pa.array(["models:/m/3"] * len(results), pa.string()),
    ]
    made: list[str] = Answers(task, "job").lines(*columns).to_pylist()
    return made


def test_a_chat_is_a_chat_completion_key_for_key() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    token = {"token": "h", "logprob": -0.1, "bytes": [104]}
    choices = [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hé", "tool_calls": None},
            "finish_reason": "stop",
            "logprobs": {"content": [{**token, "top_logprobs": [token]}]},
        },
        {
            "index": 1,
            "message": {"role": "assistant", "content": None, "tool_calls": [call]},
            "finish_reason": "tool_calls",
            "logprobs": None,
        },
    ]
    usage = {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 1},
    }
    struct = {"id": "chatcmpl-1", "model": "m", "choices": choices, "usage": usage, "truncated": True, "turns": []}
    (text,) = lines("llm/v1/chat", [struct])
    found = json.loads(text)
    assert text.startswith('{"id": "batch_req_')
    assert "hé" in text
    made = found["id"], found["response"]["request_id"]
    assert text == json.dumps(
        {
            "id": made[0],
            "custom_id": "r0",
            "response": {
                "status_code": 200,
                "request_id": made[1],
                "body": {
                    "id": "chatcmpl-1",
                    "object": "chat.completion",
                    "created": 1700000000,
                    "model": "m",
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": "hé", "refusal": None},
                            "logprobs": {"content": [{**token, "top_logprobs": [token]}], "refusal": None},
                            "finish_reason": "stop",
                        },
                        {
                            "index": 1,
                            "message": {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None},
                            "logprobs": None,
                            "finish_reason": "tool_calls",
                        },
                    ],
                    "usage": usage,
                    "system_fingerprint": None,
                },
            },
            "error": None,
        },
        ensure_ascii=False,
    )


def test_completions_and_embeddings_have_their_objects() -> None:
    choice = {"index": 0, "text": "a", "finish_reason": "length", "logprob": -1.0}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    body = json.loads(lines("llm/v1/completions", [{"choices": [choice], "usage": usage}])[0])["response"]["body"]
    assert body.pop("id").startswith("cmpl-")
    assert body == {
        "object": "text_completion",
        "created": 1700000000,
        "model": "models:/m/3",
        "choices": [{"text": "a", "index": 0, "logprobs": None, "finish_reason": "length"}],
        "usage": usage,
        "system_fingerprint": None,
    }
    struct = {"data": [{"index": 0, "embedding": [0.1, 1.0]}], "usage": {"prompt_tokens": 2, "total_tokens": 2}}
    body = json.loads(lines("llm/v1/embeddings", [struct])[0])["response"]["body"]
    assert body == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 1.0]}],  # and not 0.10000000149011612
        "model": "models:/m/3",
        "usage": {"prompt_tokens": 2, "total_tokens": 2},
    }


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("invalid_parameter", 400, "invalid_request_error"),
        ("too_long", 400, "invalid_request_error"),
        ("out_of_memory", 500, "server_error"),
        ("forward_failed", 500, "server_error"),
    ],
)
def test_a_failed_row_is_the_error_of_its_request(code: str, status: int, kind: str) -> None:
    struct = {"error": {"code": code, "message": "expected less", "retryable": False}}
    found = json.loads(lines("llm/v1/chat", [struct], [None])[0])
    assert (found["custom_id"], found["error"], found["response"]["status_code"]) == (None, None, status)
    assert found["response"]["body"] == {
        "error": {"message": "expected less", "type": kind, "param": None, "code": code}
    }


def test_what_json_has_no_word_for_costs_its_row_alone() -> None:
    def struct(number: float) -> dict[str, Any]:
        return {"data": [{"index": 0, "embedding": [number]}], "usage": None}

    found = [json.loads(text) for text in lines("llm/v1/embeddings", [struct(float("inf")), struct(0.5), None])]
    assert [line["response"]["status_code"] for line in found] == [500, 200, 400]
    assert found[0]["response"]["body"]["error"]["code"] == "non_finite"
    assert found[2]["response"]["body"]["error"]["code"] == "invalid_request"


def test_ids_are_the_same_again_and_differ_by_row_and_job() -> None:
    structs = [{"error": {"code": "too_long", "message": "", "retryable": False}}] * 2
    assert lines("llm/v1/chat", structs) == lines("llm/v1/chat", structs)
    first, second = (json.loads(text) for text in lines("llm/v1/chat", structs))
    other = json.loads(Answers("llm/v1/chat", "other").line(Answer("r0", structs[0], 0, "m")))
    assert len({first["id"], second["id"], other["id"]}) == 3
    assert first["id"] != f"batch_req_{first['response']['request_id']}"


def test_a_number_as_key_of_a_table_is_told_as_a_string() -> None:
    assert json.loads(lines("llm/v1/embeddings", [None], [7])[0])["custom_id"] == "7"
