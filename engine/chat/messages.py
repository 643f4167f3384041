"""Messages as a row holds them, structs or JSON, to what a chat template reads. Runs in the worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeAlias

from engine.errors import RowError

#: A message as templates read it: role and content, and of the others those that are there.
Message: TypeAlias = dict[str, Any]

#: What a reasoning model thought is read by templates that have a place for it, under any of its names.
_TEXTS: Final = ("role", "name", "tool_call_id", "reasoning_content", "reasoning")
_EXPECTED: Final = 'expected messages as a list, [{"role": "user", "content": "Hello"}]'
#: Roles whose words are instructions: OpenAI's newer models call a system message so.
SYSTEM: Final = ("system", "developer")


def read_messages(value: Any) -> list[Message]:
    """The messages of one row.

    Fields that are null are left out, and so are fields that no template is owed. Parts of text are joined, and the
    arguments of a tool call are made an object, which templates write as they need it.

    Args:
        value: what Arrow makes of a list of structs or maps, or parsed JSON.

    Raises RowError(invalid_messages) for anything that is no list of messages.
    """
    if not isinstance(value, list):
        refuse("got a single value")
    if not value:
        refuse("got none")
    return [_message(one) for one in value]


def parsed(text: str | bytes) -> Any:
    """The value of a JSON text. Raises RowError(invalid_messages) where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        refuse("got text that is not JSON (a column of plain texts needs strings: text)")


def with_system(messages: list[Message], system: str | None) -> list[Message]:
    """The messages behind a system message, where one is given and they have none."""
    if system is None or any(message["role"] in SYSTEM for message in messages):
        return messages
    return [{"role": "system", "content": system}, *messages]


def named(value: Any) -> dict[str, Any]:
    """A struct or a map, which Arrow gives as pairs, as a dict. Raises RowError(invalid_messages) for others."""
    if isinstance(value, list) and all(isinstance(pair, tuple) for pair in value):
        return dict(value)
    if not isinstance(value, Mapping):
        refuse("got a message or a tool call that is no object")
    return dict(value)


def half(text: str) -> bool:
    """Whether a text holds half a character (a lone surrogate): JSON's escapes can name it, no tokenizer takes it."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def refuse(got: str) -> NoReturn:
    """Raises the error of a value that is no list of messages; ``got`` holds nothing of it."""
    raise RowError("invalid_messages", f"{_EXPECTED}; {got}")


def _message(value: Any) -> Message:
    given = named(value)
    found: Message = {name: _text(given[name], name) for name in _TEXTS if given.get(name) is not None}
    if not found.get("role"):
        refuse("got a message without a role")
    if given.get("content") is not None:
        found["content"] = _content(given["content"])
    if given.get("tool_calls"):
        found["tool_calls"] = [_call(one) for one in _list(given["tool_calls"])]
    elif "content" not in found:
        refuse("got a message without content")
    return found


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        refuse(f"got a {what} that is no text")
    if half(value):
        refuse(f"got a {what} with half a character (a lone surrogate)")
    return value


def _content(value: Any) -> str:
    if isinstance(value, list):
        return "".join(_part(one) for one in value)
    return _text(value, "content")


def _part(value: Any) -> str:
    given = named(value)
    if given.get("type") != "text":
        refuse("got content with parts that are no text, which this task does not read")
    return _text(given.get("text"), "part of content")


def _call(value: Any) -> dict[str, Any]:
    given = named(value)
    function = named(given.get("function"))
    made = {"name": _text(function.get("name"), "tool call's name"), "arguments": _arguments(function.get("arguments"))}
    own = {"id": _text(given["id"], "tool call's id")} if given.get("id") is not None else {}
    return {**own, "type": "function", "function": made}


def _arguments(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = parsed(_text(value, "tool call's arguments"))
    return {} if value is None else named(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        refuse("got tool calls that are no list")
    return value
