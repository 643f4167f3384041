"""Parameters of llm/v1/chat."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine.chat.messages import half
from engine.errors import ParameterError
from engine.tasks.text import at_least

#: Arguments of a chat template that are the engine's own to give.
_RESERVED: Final = frozenset(
    {
        *("chat_template", "conversation", "max_length", "messages", "padding", "return_assistant_tokens_mask"),
        *("return_dict", "return_tensors", "sanitize_control_tokens", "tokenize", "tokenizer_kwargs", "tools"),
        "truncation",
    }
)
#: A token's id.
_TOKEN: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, kw_only=True)
class ChatParams:
    """Parameters of chats. What is null is as the model's own generation configuration says.

    Args:
        strings: what a column of strings holds: text (what the user says) or json (messages, or a whole request).
        system: a system message for rows that have none.
        chat_template: a template in the place of the model's own.
        template_args: what the template is given beside the messages, for example {enable_thinking: false}.
        control_tokens: what the model's control tokens are where a message spells them: text (they begin and end no
            message) or read (as what they are).
        tools: functions that the model may call, as OpenAI describes them.
        max_tokens: tokens to write at most, 0 for none; 256 where the model's generation configuration does not bound
            them. Fewer where the model's positions end.
        min_tokens: tokens to write before an end token may come.
        temperature: above 1 for more chance, below 1 for less, 0 for none.
        top_p: draw among the likeliest tokens that have this probability together.
        top_k: draw among so many of the likeliest tokens; 0 draws among all.
        min_p: draw among tokens at least so likely, as a part of the likeliest one's probability.
        n: texts to write for a row, 128 at most.
        seed: what the drawn tokens depend on beside the messages; null takes the row's key in a job, else the
            parameters. The same messages with the same seed give the same text, whatever else is scored.
        stop: a string that ends the text, or several, beside the model's own; it is cut before the first of them.
        presence_penalty: -2 to 2, above 0 makes tokens that stand in the text less likely.
        frequency_penalty: -2 to 2, the same for every time that they stand there.
        repetition_penalty: above 1 makes tokens that stand in the prompt or the text less likely.
        logprobs: whether the log-probability of every token is told.
        top_logprobs: 0 to 20 of the likeliest tokens of every step, told with theirs; needs logprobs.
        logit_bias: token id → -100 to 100, added to its logit.
        response_format: what the text has to look like: {type: json_object}, {type: json_schema, json_schema: {schema:
            …}}, {type: regex, pattern: …} or {type: choice, choices: […]}.
        long_prompt: what becomes of a prompt that does not fit: error (of its row), truncate_left (the oldest turns go)
            or truncate_right (the end of the last message goes); what was cut is flagged.
        max_length: tokens of the prompt at most; null takes what the model allows beside the new tokens.
        roll_forward: whether the turns of the user that nobody answers are answered one after the other, each with the
            answers before it; else only the last one is. Needs n: 1.
    """

    strings: Literal["text", "json"] = "text"
    system: str | None = None
    chat_template: str | None = None
    template_args: Mapping[str, Any] | None = None
    control_tokens: Literal["text", "read"] = "text"
    tools: tuple[Mapping[str, Any], ...] = ()
    max_tokens: int | None = None
    min_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    n: int = 1
    seed: int | None = None
    stop: tuple[str, ...] | str = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    logit_bias: Mapping[str, float] | None = None
    response_format: Mapping[str, Any] | None = None
    long_prompt: Literal["error", "truncate_left", "truncate_right"] = "error"
    max_length: int | None = None
    roll_forward: bool = False

    def __post_init__(self) -> None:
        at_least(self, 1, "n", "max_length")
        at_least(self, 0, "max_tokens", "min_tokens", "top_k", "top_logprobs")
        for name, least, most in _RANGES:
            self._within(name, getattr(self, name), least, most)
        for token, bias in (self.logit_bias or {}).items():
            if not _TOKEN.fullmatch(str(token)):
                raise ParameterError(f"expected token ids as keys of logit_bias, got {token!r}")
            self._within("logit_bias", bias, -100, 100)
        if (self.top_p is not None and self.top_p <= 0) or self.repetition_penalty == 0:
            raise ParameterError("expected top_p and repetition_penalty above 0, got 0")
        if self.top_logprobs and not self.logprobs:
            raise ParameterError("expected logprobs: true where top_logprobs is given, got false")
        if (self.min_tokens or 0) > (self.min_tokens or 0 if self.max_tokens is None else self.max_tokens):
            raise ParameterError(f"expected min_tokens of at most max_tokens, {self.max_tokens}, got {self.min_tokens}")
        if self.roll_forward and self.n > 1:
            raise ParameterError(f"expected n: 1 with roll_forward, whose answers feed the next turn, got {self.n}")
        if "" in self.stops:
            raise ParameterError("expected stop to be strings that are not empty, got an empty one")
        if any(half(text) for text in self.stops):
            raise ParameterError("expected stop to be text, got half a character (a lone surrogate)")
        reserved = sorted(_RESERVED & {*(self.template_args or {})})
        if reserved:
            raise ParameterError(f"expected other template_args than {', '.join(reserved)}, which are not theirs")

    @staticmethod
    def _within(name: str, value: float | None, least: float, most: float) -> None:
        if value is not None and not (least <= value <= most and math.isfinite(value)):
            raise ParameterError(f"expected {name} to be {least} to {most}, got {value}")

    @property
    def formatted(self) -> bool:
        """Whether the text has to look like something."""
        return self.response_format is not None and self.response_format.get("type") != "text"

    @property
    def stops(self) -> tuple[str, ...]:
        """The strings of ``stop``."""
        return (self.stop,) if isinstance(self.stop, str) else self.stop

    @property
    def samples(self) -> bool | None:
        """Whether tokens are drawn by chance; None leaves it to the model's generation configuration."""
        if self.temperature is not None:
            return self.temperature > 0
        return True if (self.top_p, self.top_k, self.min_p) != (None, None, None) else None


_RANGES: Final = (
    ("n", 1, 128),  # OpenAI's own bound: a row's request must not take the memory of all
    ("temperature", 0, math.inf),
    ("top_p", 0, 1),
    ("min_p", 0, 1),
    ("repetition_penalty", 0, math.inf),
    ("presence_penalty", -2, 2),
    ("frequency_penalty", -2, 2),
    ("top_logprobs", 0, 20),
)
