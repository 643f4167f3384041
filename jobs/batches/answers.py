"""A task's structs → the lines of OpenAI's output and error files. Runs on the executors; knows no Spark.

The shapes are those of OpenAI's API reference (the batch output object, ChatCompletion, Completion, the list of
embeddings, the error of a request), keys in its order. What a struct has beyond them is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa

#: Codes of errors that lie with the engine or its machine; every other is the request's own.
_OURS: Final = frozenset(
    {"encode_failed", "forward_failed", "decode_failed", "schema_mismatch", "non_finite", "out_of_memory", "unreadable"}
)
_NOT_FINITE: Final = {"code": "non_finite", "message": "expected finite numbers, got NaN or Inf", "retryable": False}
_NO_INPUT: Final = {"code": "invalid_request", "message": "expected an input, got null", "retryable": False}


@dataclass(frozen=True)
class Answer:
    """What a line tells: whose it is, the task's struct, when (seconds since 1970) and by which model it was scored."""

    custom_id: str | None
    result: Mapping[str, Any] | None
    created: int
    model: str


@dataclass(frozen=True)
class Answers:
    """Writes the lines of one job. Small and picklable.

    Args:
        task: llm/v1/chat, llm/v1/completions or llm/v1/embeddings.
        job: the job's identity, of which ids are made beside a row's ``custom_id``.
    """

    task: str
    job: str

    def lines(self, custom_id: pa.Array, *columns: pa.Array) -> pa.Array:
        """The columns of ``Answer`` [rows] each → strings [rows]; an id of another type is told as a string."""
        plain = (_decimal(column).to_pylist() for column in (custom_id.cast(pa.string()), *columns))
        return pa.array([self.line(Answer(*row)) for row in zip(*plain, strict=True)], pa.string())

    def line(self, answer: Answer) -> str:
        """One line: a response of status 200, or of an error's status."""
        error = _NO_INPUT if answer.result is None else answer.result["error"]
        status, body = _failure(error) if error else (200, self._body(answer))
        made = self._made("batch_req_", answer), self._made("", answer)
        response = {"status_code": status, "request_id": made[1], "body": body}
        line = {"id": made[0], "custom_id": answer.custom_id, "response": response, "error": None}
        try:
            return json.dumps(line, ensure_ascii=False, allow_nan=False)
        except ValueError:  # JSON has no word for infinity
            return self.line(replace(answer, result={"error": _NOT_FINITE}))

    def _body(self, answer: Answer) -> dict[str, Any]:
        result = answer.result or {}
        if self.task == "llm/v1/embeddings":
            return _embeddings(result, answer.model)
        if self.task == "llm/v1/chat":
            told = {"id": result["id"], "object": "chat.completion"}
            choices = [_chat_choice(choice) for choice in result["choices"]]
        else:
            told = {"id": self._made("cmpl-", answer), "object": "text_completion"}
            choices = [_text_choice(choice) for choice in result["choices"]]
        named = {**told, "created": answer.created, "model": result.get("model") or answer.model}
        return {**named, "choices": choices, "usage": result["usage"], "system_fingerprint": None}

    def _made(self, prefix: str, answer: Answer) -> str:
        """An id that is the same however often the files are written."""
        return prefix + hashlib.sha256(f"{prefix}\n{self.job}\n{answer.custom_id}".encode()).hexdigest()[:32]


def _failure(error: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    ours = error["code"] in _OURS
    kind = "server_error" if ours else "invalid_request_error"
    told = {"message": error["message"], "type": kind, "param": None, "code": error["code"]}
    return 500 if ours else 400, {"error": told}


def _chat_choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    said = choice["message"]
    message = {"role": said["role"], "content": said["content"]}
    if said["tool_calls"]:
        message["tool_calls"] = said["tool_calls"]
    logprobs = choice["logprobs"]
    return {
        "index": choice["index"],
        "message": {**message, "refusal": None},
        "logprobs": logprobs and {**logprobs, "refusal": None},
        "finish_reason": choice["finish_reason"],
    }


def _text_choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "text": choice["text"],
        "index": choice["index"],
        "logprobs": None,
        "finish_reason": choice["finish_reason"],
    }


def _embeddings(result: Mapping[str, Any], model: str) -> dict[str, Any]:
    data = [{"object": "embedding", "index": one["index"], "embedding": one["embedding"]} for one in result["data"]]
    return {"object": "list", "data": data, "model": model, "usage": result["usage"]}


def _decimal(column: pa.Array) -> pa.Array:
    """The column with doubles in place of its floats: those with the fewest digits, 0.1 and not 0.10000000149."""
    texts = _retyped(column.type, pa.string())
    return column if texts == column.type else column.cast(texts).cast(_retyped(column.type, pa.float64()))


def _retyped(dtype: pa.DataType, floats: pa.DataType) -> pa.DataType:
    if pa.types.is_float32(dtype):
        return floats
    if pa.types.is_list(dtype):
        return pa.list_(dtype.value_field.with_type(_retyped(dtype.value_type, floats)))
    if pa.types.is_struct(dtype):
        return pa.struct([one.with_type(_retyped(one.type, floats)) for one in dtype.fields])
    return dtype
