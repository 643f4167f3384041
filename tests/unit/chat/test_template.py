"""Messages within a model's template."""

from __future__ import annotations

from typing import Any

import pytest

from engine.chat.params import ChatParams
from engine.chat.template import Template
from engine.errors import ModelError, RowError
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


#: As Qwen 2.5, Llama 3 and Gemma have it: others are left out, named, or refused.
BY_NAME = """{%- for message in messages -%}
{%- if message.role == "user" or message.role == "system" %}[CLS] {{ message.role }} {{ message.content }} [SEP]
{%- elif message.role == "assistant" %}[CLS] assistant {{ message.content }} [SEP]{% endif -%}
{%- endfor -%}[CLS] assistant"""
ANY_NAME = (
    "{% for message in messages %}[CLS] {{ message.role }} {{ message.content }} [SEP]{% endfor %}[CLS] assistant"
)
GEMMA = '{% if messages[0].role == "system" %}{{ raise_exception("System role not supported") }}{% endif %}' + ANY_NAME
#: As Phi-3 mini's first one: a system message is not written.
NO_SYSTEM = '{% for one in messages if one.role != "system" %}[CLS] {{ one.role }} {{ one.content }} [SEP]{% endfor %}'


@pytest.mark.parametrize("text", [BY_NAME, ANY_NAME])
def test_a_developers_message_is_a_system_message_to_a_template_that_does_not_know_the_name(text: str) -> None:
    said = [{"role": "developer", "content": "be kind"}, *HELLO]
    whole = template(text)(said, ChatParams())
    assert whole == "[CLS] system be kind [SEP][CLS] user hello [SEP][CLS] assistant"
    assert said[0]["role"] == "developer"
    assert "developer be kind" in template(ANY_NAME + "{# developer #}")(said, ChatParams())


def test_a_role_that_the_template_would_leave_out_is_refused() -> None:
    message = "the chat template leaves out messages of "
    wizard = [*HELLO, {"role": "wizard", "content": "abra"}]
    assert refused(BY_NAME, wizard) == f"{message}a role that it does not know"
    assert refused(BY_NAME, [*HELLO, {"role": "tool", "content": "3"}]) == f"{message}tool"
    assert refused(NO_SYSTEM, [{"role": "system", "content": "be kind"}, *HELLO]) == f"{message}system"
    assert refused(NO_SYSTEM, [{"role": "system", "content": "be kind"}]) == f"{message}system"
    assert "wizard abra" in template(ANY_NAME)(wizard, ChatParams())


def test_a_role_that_has_a_place_after_others_only_is_taken_there() -> None:
    """The first message of a probe is none after an assistant's."""
    after = """{%- for one in messages %}{%- if one.role == "user" or (not loop.first and one.role == "tool") -%}
[CLS] {{ one.content }}{% endif %}{% endfor -%}"""
    assert template(after)([*HELLO, {"role": "tool", "content": "3"}], ChatParams()) == "[CLS] hello[CLS] 3"
    assert refused(after, [{"role": "tool", "content": "3"}, *HELLO]).endswith("leaves out messages of tool")


@pytest.mark.parametrize(("text", "words"), [(GEMMA, "System role not supported"), (NO_SYSTEM, "leaves out messages")])
def test_a_definitions_system_message_that_the_template_does_not_take_is_refused_on_the_driver(
    text: str, words: str
) -> None:
    template(text).check(ChatParams())
    template().check(ChatParams(system="be kind"))
    with pytest.raises(ModelError, match=words):
        template(text).check(ChatParams(system="be kind"))


def test_of_several_templates_that_for_tools_is_taken_with_tools() -> None:
    several = {"default": "{{ messages[0].content }}", "tool_use": "{{ tools | length }} {{ messages[0].content }}"}
    tools = ({"type": "function", "function": {"name": "weather"}},)
    assert template(several)(HELLO, ChatParams()) == "hello"
    assert template(several)(HELLO, ChatParams(tools=tools)) == "1 hello"
    assert template(several)(HELLO, ChatParams(chat_template="tool_use", tools=tools)) == "1 hello"
    assert "name one of the model's templates" in refused({"one": "a", "two": "b"})


def test_half_a_character_is_refused_wherever_it_comes_from() -> None:
    with pytest.raises(RowError, match="half a character") as caught:
        template()(HELLO, ChatParams(template_args={"mood": "\ud800"}))
    assert caught.value.code == "invalid_messages"
