"""Messages to the text that the model was trained to go on from. Runs in the worker."""

from __future__ import annotations

from typing import Any

from engine.chat.messages import Message
from engine.chat.params import ChatParams
from engine.errors import RowError

NO_TEMPLATE = (
    "expected a model with a chat template, its tokenizer has none: take an instruction-tuned model, give the "
    "parameter chat_template, or score text-generation"
)


class Template:
    """A tokenizer's chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def has_one(self, params: ChatParams) -> bool:
        """Whether there is one to render with."""
        return params.chat_template is not None or bool(self.tokenizer.chat_template)

    def __call__(self, messages: list[Message], params: ChatParams) -> str:
        """The prompt, up to where the model's answer begins.

        After an assistant's message the model writes another one, as OpenAI and vLLM have it, unless ``template_args``
        hold ``continue_final_message: true``.

        Raises RowError(template_refused) where there is no template, or it does not take these messages. The
        template's own words are told where they stand in it, so that they are not the row's.
        """
        if not self.has_one(params):
            raise RowError("template_refused", NO_TEMPLATE)
        args = dict(params.template_args or {})
        args.setdefault("add_generation_prompt", not args.get("continue_final_message"))
        try:
            text: str = self.tokenizer.apply_chat_template(
                messages, tools=list(params.tools) or None, chat_template=params.chat_template, tokenize=False, **args
            )
        except Exception as error:  # a template is a program, and raises whatever it likes
            raise RowError("template_refused", self._refused(error, params)) from None
        return text

    def _refused(self, error: Exception, params: ChatParams) -> str:
        words, source = str(error), params.chat_template or str(self.tokenizer.chat_template)
        if words and words in source:
            return f"the chat template refuses these messages: {words}"
        return f"expected messages that the chat template takes, it raised {type(error).__name__}: look at their roles"
