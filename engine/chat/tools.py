"""Calls of tools in what a model wrote. Runs in the worker."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

#: The form of Hermes and Qwen, which many models' templates ask for.
_CALL: Final = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)


@dataclass(frozen=True)
class Call:
    """A function that the model wants called: its name, and its arguments as JSON."""

    name: str
    arguments: str


def calls(tokenizer: Any, text: str, prompt: Any) -> tuple[str | None, tuple[Call, ...]]:
    """What is said, and the calls of tools in a text; without calls, the text as it is.

    Args:
        tokenizer: of transformers; where it says how answers are parsed (``response_template``), it does that.
        text: that was written, special tokens among it.
        prompt: the tokens before it.
    """
    if getattr(tokenizer, "response_template", None) is not None:
        content, found = _by_template(tokenizer, text, prompt)
    else:
        content, found = _CALL.sub("", text), [_read(one) for one in _CALL.findall(text)]
    made = tuple(call for call in found if call is not None)
    if not found or len(made) < len(found):  # a call that can't be read is text: nothing of it is lost
        return text, ()
    return (content or "").strip() or None, made


def _by_template(tokenizer: Any, text: str, prompt: Any) -> tuple[str | None, list[Call | None]]:
    try:
        message = tokenizer.parse_response(text, prefix=tokenizer.decode(prompt))
    except Exception:  # a parser over what a model wrote; what it does not take is text
        return text, []
    return message.get("content"), [_call(one.get("function")) for one in message.get("tool_calls") or []]


def _read(text: str) -> Call | None:
    try:
        return _call(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _call(value: Any) -> Call | None:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        return Call(value["name"], arguments)
    return Call(value["name"], json.dumps(arguments, ensure_ascii=False)) if isinstance(arguments, dict) else None
