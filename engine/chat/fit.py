"""Prompts that are too long: what goes, and what has to stay. Runs in the worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.batching import Index
from engine.chat.messages import SYSTEM, Message
from engine.errors import RowError
from engine.tasks.tokens import TOKENIZING

#: The tokens of messages within their template.
Tokenize = Callable[[list[Message]], Index]


def fitted(messages: list[Message], ids: Index, room: int, how: str, tokenize: Tokenize, tokenizer: Any) -> Index:
    """The tokens, at most ``room``, of a conversation that has more (``ids``).

    Args:
        how: error; truncate_left (the oldest turns go) or truncate_right (the end of the last message goes).

    Raises RowError(too_long) where that is asked for, and where too little would be left; and what ``tokenize`` raises.
    """
    if how == "truncate_left":
        return _without_oldest(messages, room, tokenize)
    if how == "truncate_right":
        return _without_end(messages, len(ids) - room, room, tokenize, tokenizer)
    raise _too_long(room, "shorten it or change long_prompt")


def turns(messages: Sequence[Message]) -> tuple[list[Message], list[list[Message]]]:
    """The system messages that stand in front, and the turns: each what a user says, and all up to the next user.

    So a call of a tool and the tool's answer are of one turn. What comes before the first user is one too.
    """
    start = next((at for at, one in enumerate(messages) if one["role"] not in SYSTEM), len(messages))
    found: list[list[Message]] = []
    for message in messages[start:]:
        if message["role"] == "user" or not found:
            found.append([])
        found[-1].append(message)
    return list(messages[:start]), found


def _without_oldest(messages: list[Message], room: int, tokenize: Tokenize) -> Index:
    """With as many of the newest turns as fit: found by halving, for fewer turns have fewer tokens."""
    head, every = turns(messages)
    low, high = 1, len(every) - 1  # the first that stays; that of ``high`` is to be known to fit
    if high < 1:
        raise _too_long(room, "its only turn does not fit: shorten it, or long_prompt: truncate_right")

    def of(first: int) -> Index:
        return tokenize([*head, *(message for turn in every[first:] for message in turn)])

    best = of(high)
    if len(best) > room:
        raise _too_long(room, "its last turn alone does not fit: shorten it, or long_prompt: truncate_right")
    while low < high:
        middle = (low + high) // 2
        ids = of(middle)
        if len(ids) <= room:
            best, high = ids, middle
        else:
            low = middle + 1
    return best


def _without_end(messages: list[Message], excess: int, room: int, tokenize: Tokenize, tokenizer: Any) -> Index:
    """With the beginning of the last message, its frame whole: the model sees where it ends."""
    text = messages[-1].get("content") or ""
    ends = _ends(tokenizer, text)
    while excess > 0:
        if len(ends) < 2:
            raise _too_long(room, "without its last message it does not fit: shorten it, or long_prompt: truncate_left")
        # A control token that is read as text is one here and several in the prompt, so that too many may seem to go.
        ends = ends[: -(excess if excess < len(ends) else len(ends) // 2)]
        ids = tokenize([*messages[:-1], {**messages[-1], "content": text[: ends[-1]]}])
        excess = len(ids) - room
    return ids


def _ends(tokenizer: Any, text: str) -> list[int]:
    """Characters of the text up to and with each token of it."""
    with TOKENIZING:
        if tokenizer.is_fast:
            found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
            return [end for _, end in found["offset_mapping"]]
        tokens = len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    return [len(text) * (at + 1) // tokens for at in range(tokens)]


def _too_long(room: int, what: str) -> RowError:
    return RowError("too_long", f"expected a prompt of at most {room} tokens, it has more; {what}")
