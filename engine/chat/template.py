"""Messages to the text that the model was trained to go on from. Runs in the worker."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from engine.chat.control import Control
from engine.chat.messages import Message, half, with_system
from engine.chat.params import ChatParams
from engine.errors import ModelError, RowError

NO_TEMPLATE: Final = (
    "expected a model with a chat template, its tokenizer has none: take an instruction-tuned model, give the "
    "parameter chat_template, or score text-generation"
)
#: The roles that every template has a place for.
_EVERYWHERE: Final = frozenset(("user", "assistant"))
#: What stands in no template.
_PROBE: Final = "embercastprobe"


class Template:
    """A tokenizer's chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer, self.control = tokenizer, Control(tokenizer)
        self._leaves_out = lru_cache(maxsize=64)(self._probed)  # roles are the rows' own: any number of them

    def has_one(self, params: ChatParams) -> bool:
        """Whether there is one to render with."""
        return params.chat_template is not None or bool(self.tokenizer.chat_template)

    def check(self, params: ChatParams) -> None:
        """Raises ModelError where there is no template, or none for the definition's system message."""
        if not self.has_one(params):
            raise ModelError(NO_TEMPLATE)
        user = [{"role": "user", "content": "a"}]
        refused = self._refuses(with_system(user, params.system), params)
        if params.system is not None and refused is not None and self._refuses(user, params) is None:
            raise ModelError(
                f"expected a chat template that takes the definition's system message; {refused.message}; leave out "
                "system and say it in the user's messages, or give a chat_template that has a place for it"
            )

    def __call__(self, messages: list[Message], params: ChatParams) -> str:
        """The prompt, up to where the model's answer begins, for ``engine.chat.control.prompt_ids`` to make tokens of.

        After an assistant's message the model writes another one, as OpenAI and vLLM have it, unless ``template_args``
        hold ``continue_final_message: true``. A developer's message is a system message to a template that does not
        know the name.

        Raises RowError(template_refused) where there is no template, it does not take these messages, or it writes
        nothing of those of a role. The template's own words are told where they stand in it, so that they are not the
        row's. Raises RowError(invalid_messages) where the text has half a character.
        """
        if not self.has_one(params):
            raise RowError("template_refused", NO_TEMPLATE)
        source = self._source(params)
        if "developer" not in source:
            messages = [{**one, "role": "system"} if one["role"] == "developer" else one for one in messages]
        if params.control_tokens == "text":
            messages = self.control.marked(messages, source)
        text = self._rendered(messages, params, source)
        self._check_roles(messages, params, source, text)
        if half(text):  # of tools, arguments or the system message of a row
            raise RowError("invalid_messages", "expected text, got half a character (a lone surrogate)")
        return text

    def _refuses(self, messages: list[Message], params: ChatParams) -> RowError | None:
        try:
            self(messages, params)
        except RowError as error:
            return error
        return None

    def _source(self, params: ChatParams) -> str:
        """The template that counts, of a tokenizer that may have several."""
        try:
            found: str = self.tokenizer.get_chat_template(params.chat_template, list(params.tools) or None)
        except ValueError:
            several = "expected chat_template to name one of the model's templates, which has several and no default"
            raise RowError("template_refused", several) from None
        return found

    def _rendered(self, messages: list[Message], params: ChatParams, source: str) -> str:
        args = dict(params.template_args or {})
        args.setdefault("add_generation_prompt", not args.get("continue_final_message"))
        try:
            text: str = self.tokenizer.apply_chat_template(
                messages, tools=list(params.tools) or None, chat_template=source, tokenize=False, **args
            )
        except Exception as error:  # a template is a program, and raises whatever it likes
            raise RowError("template_refused", _refused(error, source)) from None
        return text

    def _check_roles(self, messages: list[Message], params: ChatParams, source: str, text: str) -> None:
        """Raises RowError(template_refused) where the text would be the same without the messages of a role.

        Many templates write nothing of a role that they do not know, and the model would answer to something else.
        """
        for role in sorted({one["role"] for one in messages} - _EVERYWHERE):
            if self._leaves_out(role, source) and self._same_without(role, messages, params, source, text):
                known = role if role in ("system", "tool") else "a role that it does not know"
                raise RowError("template_refused", f"the chat template leaves out messages of {known}")

    def _same_without(self, role: str, messages: list[Message], params: ChatParams, source: str, text: str) -> bool:
        others = [one for one in messages if one["role"] != role]
        try:
            return not others or self._rendered(others, params, source) == text
        except RowError:
            return False

    def _probed(self, role: str, source: str) -> bool:
        """Whether a template seems to write nothing of a role."""
        messages = [{"role": role, "content": _PROBE}, {"role": "user", "content": "a"}]
        try:
            text = self.tokenizer.apply_chat_template(
                messages, chat_template=source, tokenize=False, add_generation_prompt=True
            )
        except Exception:  # it says so where a row has the role
            return False
        return _PROBE not in text


def _refused(error: Exception, source: str) -> str:
    words = str(error)
    if words and words in source:
        return f"the chat template refuses these messages: {words}"
    return f"expected messages that the chat template takes, it raised {type(error).__name__}: look at their roles"
