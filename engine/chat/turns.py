"""Conversations whose turns are answered one after the other, each with the answers before it. Runs in the worker.

A conversation is a row's messages; a turn of it is answered where a user says something that nobody answers: before
the next user's message, or at the end. Answers that stand in the row are kept. The backend asks for the next prompt
when a text is written (``Backend.generate``'s ``follow``), so that the keys and values stay for the next turn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from engine.batching import Index
from engine.chat.answers import Answers, Choice
from engine.chat.continued import continued, plain
from engine.chat.fit import fitted
from engine.chat.messages import SYSTEM, Message, read_messages
from engine.chat.rows import Asked
from engine.chat.template import Template
from engine.errors import RowError
from engine.generation.backend import Prompt, Written


@dataclass(frozen=True)
class Rolled:
    """What became of a conversation.

    Args:
        turns: what was written, a text for each turn in order; at least one.
        truncated: whether the prompt of one of them was cut.
    """

    turns: tuple[Written, ...]
    truncated: bool


def openings(messages: Sequence[Message]) -> list[int]:
    """How many messages stand before each answer that is to be written, the last being all of them."""
    asked = [
        at + 1
        for at, (one, following) in enumerate(pairwise(messages))
        if following["role"] == "user" and one["role"] not in (*SYSTEM, "assistant")
    ]
    return [*asked, len(messages)]


def opening(asked: Asked) -> list[Message]:
    """The messages of a row's first prompt: all, or where its turns are answered in order those of the first."""
    return asked.messages[: openings(asked.messages)[0]] if asked.decided.params.roll_forward else asked.messages


class Conversation:
    """One row's, while its turns are answered.

    Args:
        asked: the row.
        prompt: of its first turn; cut: whether it is not whole.
        template, tokenizer, answers: of the model.
    """

    def __init__(
        self, asked: Asked, prompt: Prompt, *, cut: bool, template: Template, tokenizer: Any, answers: Answers
    ) -> None:
        self.asked, self.first, self.prompt = asked, prompt, prompt
        self.template, self.tokenizer, self.answers = template, tokenizer, answers
        self.left = openings(asked.messages)
        self.messages = opening(asked)
        #: Of the prompt; None where it was cut: the next one does not begin with it.
        self.text = None if cut else template(self.messages, asked.decided.params)
        self.truncated = cut
        self.written: list[Written] = []
        self.error: RowError | None = None

    @property
    def result(self) -> Rolled | RowError:
        """What became of it, when there is no next turn."""
        return self.error or Rolled(tuple(self.written), self.truncated)

    def follow(self, written: Written) -> Prompt | None:
        """The prompt of the next turn behind the answer to this one; None at the end, and where there can be none."""
        self.written.append(written)
        if len(self.left) == 1:
            return None
        try:
            self._say(written)
            ids = self._ids(written)
        except RowError as error:
            self.error = error
            return None
        decoding = self.asked.decided.after(len(ids))
        self.prompt = Prompt(self.first.id, ids, decoding, _key(self.first.key, len(self.written)))
        return self.prompt

    def _say(self, written: Written) -> None:
        """Adds the answer and what the row holds up to the next one."""
        decided = self.asked.decided
        choice = self.answers.choice(
            written, decided.stopping, tools=bool(decided.params.tools), prompt=self.prompt.ids
        )
        start = self.left.pop(0)
        self.messages = [*self.messages, _message(choice), *self.asked.messages[start : self.left[0]]]

    def _ids(self, written: Written) -> Index:
        """The tokens of the next prompt; it begins with those that are there unless it had to be cut."""
        decided, params = self.asked.decided, self.asked.decided.params
        before, text = self.text, self.template(self.messages, params)
        self.text = text
        room = decided.room
        if before is not None:
            prompt = self.prompt.ids
            longer = continued(self.tokenizer, before=before, prompt=prompt, written=written.ids, text=text)
            if longer is not None and (room is None or len(longer) <= room):
                return longer
        ids = plain(self.tokenizer, text)
        if room is None or len(ids) <= room:
            return ids
        self.text, self.truncated = None, True
        return fitted(self.messages, ids, room, params.long_prompt, self._again, self.tokenizer)

    def _again(self, messages: list[Message]) -> Index:
        return plain(self.tokenizer, self.template(messages, self.asked.decided.params))


def _message(choice: Choice) -> Message:
    called = [{"function": {"name": call.name, "arguments": call.arguments}} for call in choice.calls]
    return read_messages([{"role": "assistant", "content": choice.content or "", "tool_calls": called}])[0]


def _key(first: int, turn: int) -> int:
    """Of a later turn's random numbers: others than those of the first."""
    return int.from_bytes(hashlib.blake2b(f"{first:032x}/{turn}".encode(), digest_size=16).digest(), "little")
