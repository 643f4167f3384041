"""What was written, as ChatCompletion structs. Runs in the worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from engine.batching import Index
from engine.chat.names import call_id
from engine.chat.pieces import Pieces
from engine.chat.tools import Call, calls
from engine.generation.backend import TokenLogprobs, Written, vocabulary
from engine.generation.stopping import Stopping


@dataclass(frozen=True)
class Choice:
    """One text of an answer: its tokens, what is said in it, the tools it calls and how it ended."""

    written: Written
    content: str | None
    calls: tuple[Call, ...]
    finish_reason: str


@dataclass(frozen=True)
class Answer:
    """One row's: its id, its choices, the tokens of its prompt, and whether that was cut.

    Of a conversation whose turns were answered in order, ``turns`` holds each answer, and ``choices`` the last one.
    """

    id: str
    choices: tuple[Choice, ...]
    prompt_tokens: int
    truncated: bool
    turns: tuple[Choice, ...] = ()


class Answers:
    """Makes structs of a model's texts.

    Args:
        model, tokenizer: of transformers.
        name: of the model, as the registry has it.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        self.model, self.tokenizer, self.name = model, tokenizer, name

    @cached_property
    def pieces(self) -> Pieces:
        """The vocabulary, made where log-probabilities are first told."""
        return Pieces(self.tokenizer, vocabulary(self.model))

    def text(self, written: Written, stopping: Stopping) -> str:
        """What is said, without special tokens and before the stop string."""
        return stopping.cut(stopping.texts([written.ids])[0])

    def choice(self, written: Written, stopping: Stopping, *, tools: bool, prompt: Index) -> Choice:
        """A text as a choice; calls of tools are looked for where there are ``tools``."""
        if tools:
            whole = stopping.cut(self.tokenizer.decode(written.ids, skip_special_tokens=False))
            said, found = calls(self.tokenizer, whole, prompt)
            if found:
                return Choice(written, self._plain(said), found, "tool_calls")
        return Choice(written, self.text(written, stopping), (), written.finish_reason)

    def _plain(self, text: str | None) -> str | None:
        for token in self.tokenizer.all_special_tokens if text else ():
            text = (text or "").replace(token, "")
        return (text or "").strip() or None

    def structs(self, answers: Sequence[Answer], fields: Sequence[pa.Field]) -> pa.StructArray:
        """The structs of these answers, without ``error``; ``fields`` are the schema's."""
        types = {field.name: field.type for field in fields}
        columns = {
            "id": pa.array([one.id for one in answers], pa.string()),
            "model": pa.array([self.name] * len(answers), pa.string()),
            "choices": self._choices(answers, types["choices"]),
            "usage": _usage(answers, types["usage"]),
            "turns": pa.array([_turns(one) for one in answers], types["turns"]),
            "truncated": pa.array([one.truncated for one in answers], pa.bool_()),
        }
        return pa.StructArray.from_arrays([columns[field.name] for field in fields], fields=list(fields))

    def _choices(self, answers: Sequence[Answer], dtype: pa.DataType) -> pa.Array:
        flat = [choice for answer in answers for choice in answer.choices]
        types = {field.name: field.type for field in dtype.value_type.fields}
        messages = [
            {"role": "assistant", "content": choice.content, "tool_calls": _called(answer.id, at, choice.calls)}
            for answer in answers
            for at, choice in enumerate(answer.choices)
        ]
        columns = [
            pa.array([at for answer in answers for at in range(len(answer.choices))], types["index"]),
            pa.array(messages, types["message"]),
            pa.array([choice.finish_reason for choice in flat], types["finish_reason"]),
            self._logprobs([choice.written for choice in flat], types["logprobs"]),
        ]
        structs = pa.StructArray.from_arrays(columns, fields=list(dtype.value_type.fields))
        return _listed([len(answer.choices) for answer in answers], structs, dtype)

    def _logprobs(self, written: Sequence[Written], dtype: pa.StructType) -> pa.Array:
        """Of each text a token's, and those of the likeliest in its place; null where nobody asked."""
        told = [(one.ids, one.logprobs) for one in written if one.logprobs is not None]
        if not told:
            return pa.nulls(len(written), dtype)
        content = dtype.field("content").type
        top = content.value_type.field("top_logprobs").type
        values = np.concatenate([one.taken for _, one in told])
        tokens = self._tokens(np.concatenate([ids for ids, _ in told]), values, list(top.value_type.fields))
        likeliest = self._tokens(
            np.concatenate([one.ids.ravel() for _, one in told]),
            np.concatenate([one.top.ravel() for _, one in told]),
            list(top.value_type.fields),
        )
        each = [one.ids.shape[1] for _, one in told for _ in range(len(one.taken))]
        columns = [*tokens.flatten(), _listed(each, likeliest, top)]
        structs = pa.StructArray.from_arrays(columns, fields=list(content.value_type.fields))
        lists = _listed([_steps(one.logprobs) for one in written], structs, content)
        unasked = pa.array([one.logprobs is None for one in written])
        return pa.StructArray.from_arrays([lists], fields=list(dtype.fields), mask=unasked)

    def _tokens(self, ids: Index, values: Any, fields: list[pa.Field]) -> pa.StructArray:
        texts, spelled = self.pieces.columns(ids)
        columns = [texts, pa.array(values, pa.float32()), spelled.cast(fields[2].type)]
        return pa.StructArray.from_arrays(columns, fields=fields)


def _called(answer: str, choice: int, found: Sequence[Call]) -> list[dict[str, Any]] | None:
    return [
        {
            "id": call_id(answer, choice, at),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for at, call in enumerate(found)
    ] or None


def _steps(logprobs: TokenLogprobs | None) -> int:
    return 0 if logprobs is None else len(logprobs.taken)


def _usage(answers: Sequence[Answer], dtype: pa.StructType) -> pa.Array:
    """Tokens: a prompt counts once for all its texts, and as cached where it was for the first of them.

    Turns that were answered in order are so many requests: their tokens are added up.
    """
    read = np.array([_read(one) for one in answers], np.int32)
    made = np.array([sum(len(choice.written.ids) for choice in one.turns or one.choices) for one in answers], np.int32)
    cached = [_cached(one) for one in answers]
    details = pa.StructArray.from_arrays([pa.array(cached, pa.int32())], fields=list(dtype.fields[3].type.fields))
    counts = [pa.array(one, pa.int32()) for one in (read, made, read + made)]
    return pa.StructArray.from_arrays([*counts, details], fields=list(dtype.fields))


def _read(answer: Answer) -> int:
    return sum(turn.written.prompt_tokens for turn in answer.turns) if answer.turns else answer.prompt_tokens


def _cached(answer: Answer) -> int:
    if answer.turns:
        return sum(turn.written.cached_tokens for turn in answer.turns)
    return min((choice.written.cached_tokens for choice in answer.choices), default=0)


def _turns(answer: Answer) -> list[dict[str, Any]] | None:
    return [
        {
            "index": at,
            "content": turn.content,
            "finish_reason": turn.finish_reason,
            "prompt_tokens": turn.written.prompt_tokens,
            "completion_tokens": len(turn.written.ids),
            "cached_tokens": turn.written.cached_tokens,
        }
        for at, turn in enumerate(answer.turns)
    ] or None


def _listed(lengths: Sequence[int], values: pa.Array, dtype: pa.DataType) -> pa.Array:
    offsets = pa.array(np.cumsum([0, *lengths]), pa.int32())
    return pa.ListArray.from_arrays(offsets, values, type=dtype)
