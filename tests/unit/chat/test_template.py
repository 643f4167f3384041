"""Messages within a model's template."""

from __future__ import annotations

from typing import Any

import pytest

from engine.chat.params import ChatParams
from engine.chat.template import Template
from engine.errors import RowError
from tests import chats, tiny

HELLO = chats.user("hello")


def template(text: Any = chats.TEMPLATE) -> Template:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = text
    return Template(tokenizer)


def refused(text: Any, messages: Any = HELLO, **params: Any) -> str:
    with pytest.raises(RowError) as caught:
        template(text)(messages, ChatParams(**params))
    assert caught.value.code == "template_refused"
    return caught.value.message


def test_a_prompt_ends_where_the_answer_begins() -> None:
    assert template()(HELLO, ChatParams()) == "[CLS] user hello [SEP] [CLS] assistant"


def test_after_an_assistants_message_comes_another_unless_it_is_to_go_on() -> None:
    begun = [*HELLO, {"role": "assistant", "content": "I"}]
    whole = "[CLS] user hello [SEP][CLS] assistant I"
    assert template()(begun, ChatParams()) == f"{whole} [SEP] [CLS] assistant"
    assert template()(begun, ChatParams(template_args={"continue_final_message": True})) == whole


def test_tools_and_arguments_reach_the_template() -> None:
    tools = ({"type": "function", "function": {"name": "weather"}},)
    found = template()(HELLO, ChatParams(tools=tools, template_args={"mood": "warm"}))
    assert found == "[CLS] user warm hello [SEP] weather [CLS] assistant"


def test_the_definitions_template_wins_over_the_models() -> None:
    assert template()(HELLO, ChatParams(chat_template="{{ messages[0].content }}!")) == "hello!"
    assert template(None)(HELLO, ChatParams(chat_template="{{ messages[0].content }}!")) == "hello!"


def test_a_model_has_a_template_or_gets_one() -> None:
    assert template().has_one(ChatParams())
    assert not template(None).has_one(ChatParams())
    assert template(None).has_one(ChatParams(chat_template="x"))
    assert "its tokenizer has none" in refused(None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{{ raise_exception("No system here.") }}', "the chat template refuses these messages: No system here."),
        ("{{ raise_exception('No role ' + messages[0].content) }}", "expected messages that the chat template takes"),
        ("{{ messages[7].content.x }}", "it raised UndefinedError"),
        ("{{ messages[0].content + 1 }}", "it raised TypeError"),
        ("{% if %}", "it raised TemplateSyntaxError"),
    ],
)
def test_a_refusal_is_told_in_the_templates_own_words_and_never_in_the_rows(text: str, message: str) -> None:
    found = refused(text)
    assert message in found
    assert "hello" not in found
