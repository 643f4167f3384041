"""Chats: the contract, and the rows that break what people use today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests import chats, scoring
from tests.conformance.samples import TEXTS
from tests.conformance.writing import WritingConformance

TASK = "llm/v1/chat"


class TestChat(WritingConformance):
    task = TASK
    columns: ClassVar = {"messages": TEXTS}
    given: ClassVar = {"max_tokens": 6, "logprobs": True}
    params: ClassVar = {
        "temperature": 1.7,
        "seed": 11,
        "n": 2,
        "stop": ["e", "er"],
        "system": "so they said",
        "top_logprobs": 2,
        "template_args": {"mood": "hot"},
        "logit_bias": {"20": 2.5},
        "frequency_penalty": 0.5,
    }
    nullable = ("turns",)

    @classmethod
    def save(cls, folder: Path) -> None:
        chats.save(folder)

    def texts(self, row: dict[str, Any]) -> list[str]:
        return [choice["message"]["content"] for choice in row["choices"]]

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [token["logprob"] for choice in row["choices"] for token in choice["logprobs"]["content"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chats.save(tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="module")
def plain(folder: Path) -> chats.Plain:
    return chats.Plain(folder)


def answers(folder: Path, cells: list[Any], **params: Any) -> list[Any]:
    """The structs of messages written as JSON."""
    given = {"strings": "json", "max_tokens": 8, **params}
    made = scoring.scorer(folder, task=TASK, inputs=("messages",), params=given)
    texts = [cell if cell is None or isinstance(cell, str) else json.dumps(cell) for cell in cells]
    return scoring.rows(made, messages=texts)


def content(row: Any, choice: int = 0) -> str:
    assert row["error"] is None
    return row["choices"][choice]["message"]["content"]


HELLO = chats.user("what can they do")
#: Rows that get no answer, with the code of their error; None is a null struct.
BAD = [
    (None, None),
    ([], "invalid_messages"),
    ("no json", "invalid_messages"),
    ('{"messages": ', "invalid_messages"),
    ("7", "invalid_messages"),
    ({"model": "m"}, "invalid_messages"),
    ([{"content": "no role"}], "invalid_messages"),
    ([{"role": "user"}], "invalid_messages"),
    ([{"role": "user", "content": 7}], "invalid_messages"),
    ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}], "invalid_messages"),
    ([{"role": "wizard", "content": "abra"}], "template_refused"),
    ([*HELLO, *[{"role": "assistant", "content": "now"}] * 2], "template_refused"),
    (chats.user("people " * 100_000), "too_long"),
    ({"messages": HELLO, "logit_bias": {"100000": 1}}, "invalid_parameter"),
    ({"messages": HELLO, "temperature": -1}, "invalid_parameter"),
    ({"messages": HELLO, "stream": True}, "invalid_parameter"),
    ({"messages": HELLO, "beams": 4}, "invalid_parameter"),
    ({"messages": HELLO, "max_tokens": 256}, "invalid_parameter"),
]


def test_a_bad_row_costs_itself_alone(folder: Path, plain: chats.Plain) -> None:
    cells = [cell for bad, _ in BAD for cell in (bad, HELLO)]
    found = answers(folder, cells)
    assert [row and row["error"]["code"] for row in found[::2]] == [code for _, code in BAD]
    _, written = plain(HELLO, max_new_tokens=8)
    assert {content(row) for row in found[1::2]} == {plain.text(written)}
    for words in ("wizard", "abra", "people", "100000", "beams", "no role"):  # no row's text
        assert all(words not in row["error"]["message"] for row in found[::2] if row)


def test_the_template_says_why_it_refuses(folder: Path) -> None:
    [unknown, twice] = answers(folder, [BAD[10][0], BAD[11][0]])
    assert unknown["error"]["message"].endswith("Only system, user, assistant and tool are roles here.")
    assert twice["error"]["message"].endswith("An assistant answers a user.")


def test_a_system_message_alone_is_answered_where_the_template_takes_it(folder: Path, plain: chats.Plain) -> None:
    alone = [{"role": "system", "content": "do as they say"}]
    [row] = answers(folder, [alone])
    prompt, written = plain(alone, max_new_tokens=8)
    assert content(row) == plain.text(written)
    assert row["usage"]["prompt_tokens"] == len(prompt)


def test_an_assistants_last_message_gets_another(folder: Path, plain: chats.Plain) -> None:
    begun = [*HELLO, {"role": "assistant", "content": "they can go"}, *chats.user("so")]
    [row] = answers(folder, [begun])
    _, written = plain(begun, max_new_tokens=8)
    assert content(row) == plain.text(written)


def test_a_stop_string_may_span_tokens(folder: Path, plain: chats.Plain) -> None:
    _, written = plain(HELLO, max_new_tokens=8)
    text = plain.text(written)
    middle = len(plain.text(written[:2]))
    stop = text[middle - 1 : middle + 2]  # the end of the second token, and the beginning of the third
    [row] = answers(folder, [HELLO], stop=stop)
    assert content(row) == text[: text.index(stop)]
    assert row["choices"][0]["finish_reason"] == "stop"
    assert row["usage"]["completion_tokens"] == 3


def test_three_texts_of_a_row_differ_and_count_together(folder: Path) -> None:
    [row, again, other] = answers(folder, [HELLO, HELLO, chats.user("go")], n=3, temperature=1.5, seed=3)
    texts = [content(row, at) for at in range(3)]
    assert len(set(texts)) == 3
    assert [choice["index"] for choice in row["choices"]] == [0, 1, 2]
    assert row == again
    assert row["id"] != other["id"]
    [one] = answers(folder, [{"messages": HELLO, "n": 1}], temperature=1.5, seed=3)
    assert content(one) == texts[0]
    assert row["usage"]["total_tokens"] == row["usage"]["prompt_tokens"] + row["usage"]["completion_tokens"]


@pytest.mark.parametrize("most", [0, 1])
def test_no_token_and_one(folder: Path, plain: chats.Plain, most: int) -> None:
    [row] = answers(folder, [HELLO], max_tokens=most, logprobs=True)
    _, written = plain(HELLO, max_new_tokens=1)
    assert content(row) == (plain.text(written) if most else "")
    assert row["choices"][0]["finish_reason"] == "length"
    assert row["usage"]["completion_tokens"] == len(row["choices"][0]["logprobs"]["content"]) == most
