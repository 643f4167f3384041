"""Conversations that are too long, over a tokenizer of words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.chat.fit import fitted, turns
from engine.errors import RowError


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


SYSTEM = said("system", "be kind")
TURNS = [
    [said("user", "a1 a2"), said("assistant", "b1")],
    [said("user", "c1"), {"role": "assistant", "tool_calls": [{}]}, said("tool", "d1 d2 d3"), said("assistant", "e1")],
    [said("user", "f1 f2 f3 f4")],
]
WHOLE = [SYSTEM, *(message for turn in TURNS for message in turn)]


def words(messages: list[dict[str, Any]]) -> list[str]:
    """A frame of one word for each message, and its own."""
    return [word for one in messages for word in (f"<{one['role']}>", *(one.get("content") or "").split())]


def tokenize(messages: list[dict[str, Any]]) -> Any:
    return np.array([hash(word) for word in words(messages)])


def tokenizer(text: str, **_: Any) -> dict[str, Any]:
    ends = [at for at in range(1, len(text) + 1) if at == len(text) or text[at] == " "]
    return {"offset_mapping": [(0, end) for end in ends], "input_ids": ends}


tokenizer.is_fast = True  # type: ignore[attr-defined]


def fit(messages: list[dict[str, Any]], room: int, how: str) -> Any:
    return fitted(messages, tokenize(messages), room, how, tokenize, tokenizer)


def same(found: Any, messages: list[dict[str, Any]]) -> bool:
    return found.tolist() == tokenize(messages).tolist()


def test_a_turn_is_what_a_user_says_and_all_up_to_the_next() -> None:
    assert turns(WHOLE) == ([SYSTEM], TURNS)
    assert turns([said("assistant", "hi"), *TURNS[0]]) == ([], [[said("assistant", "hi")], TURNS[0]])
    assert turns([SYSTEM, SYSTEM]) == ([SYSTEM, SYSTEM], [])


@pytest.mark.parametrize(("room", "kept"), [(20, 1), (17, 1), (16, 2), (8, 2)])
def test_the_oldest_turns_go_whole_and_the_system_message_stays(room: int, kept: int) -> None:
    """Of 22 words: 3 of the system, 5, 9 and 5 of the turns."""
    assert len(words(WHOLE)) == 22
    assert same(fit(WHOLE, room, "truncate_left"), [SYSTEM, *(one for turn in TURNS[kept:] for one in turn)])


def test_the_newest_turns_that_fit_are_found_among_many() -> None:
    many = [said("user", f"w{at}") for at in range(100)]
    for room in range(2, 200):
        assert same(fit(many, room, "truncate_left"), many[-(room // 2) :])


@pytest.mark.parametrize(
    ("messages", "room", "how", "message"),
    [
        (WHOLE, 7, "truncate_left", "its last turn alone does not fit"),
        (TURNS[2], 4, "truncate_left", "its only turn does not fit"),
        ([SYSTEM], 2, "truncate_left", "its only turn does not fit"),
        (WHOLE, 18, "truncate_right", "without its last message it does not fit"),
        (WHOLE, 21, "error", "at most 21 tokens, it has more; shorten it or change long_prompt"),
    ],
)
def test_what_cannot_be_cut_is_too_long(messages: Any, room: int, how: str, message: str) -> None:
    with pytest.raises(RowError, match=message) as caught:
        fit(messages, room, how)
    assert caught.value.code == "too_long"


@pytest.mark.parametrize("fast", [True, False])
def test_the_end_of_the_last_message_goes(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "is_fast", fast)
    assert same(fit(WHOLE, 20, "truncate_right"), [*WHOLE[:-1], said("user", "f1 f2")])
    assert same(fit(WHOLE, 19, "truncate_right"), [*WHOLE[:-1], said("user", "f1")])


def test_what_is_still_too_long_is_cut_again() -> None:
    """A template may write a message's end in more tokens than the text had there."""

    def more(messages: list[dict[str, Any]]) -> Any:
        found = words(messages)
        return np.zeros(len(found) + ("f4" not in found), np.int64)

    found = fitted(WHOLE, tokenize(WHOLE), 20, "truncate_right", more, tokenizer)
    assert len(found) == 20
