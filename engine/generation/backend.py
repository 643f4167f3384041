"""The small interface that generation sits behind: prompts with what is asked of each in, what was written out.

A task makes a ``Prompt`` of each text that it wants written and hands all of a window to a ``Backend``; what it gets
back, in the order in which texts are finished, it knows by the prompt's ``id``. Backends decide by themselves what runs
together. Runs in the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.errors import RowError


class Matcher(Protocol):
    """Where one text stands in its grammar."""

    def fill(self, mask: npt.NDArray[np.int32]) -> None:
        """Sets bit ``t % 32`` of word ``t // 32`` where token ``t`` may come next; mask: int32 [⌈vocabulary / 32⌉]."""

    def accept(self, token: int) -> None:
        """The token that was taken, which is one of those that ``fill`` allowed."""


class Grammar(Protocol):
    """What a text has to look like, made ready for a tokenizer; shared by every text that is asked for it."""

    @property
    def response_format(self) -> Mapping[str, Any]:
        """What it was made from, for a backend that makes its own of it."""

    def matcher(self) -> Matcher:
        """At the start of a text."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How one text is written. Every value is decided: nothing is left to a model's generation configuration.

    Args:
        max_tokens: tokens to write at most.
        min_tokens: tokens to write before an end token may come.
        temperature: None takes the likeliest token of every step.
        top_k: draw among so many of the likeliest tokens; 0 among all.
        top_p: draw among the likeliest tokens that have this probability together.
        min_p: draw among tokens at least so likely, as a part of the likeliest one's probability.
        repetition_penalty: above 1 makes tokens that stand in the prompt or the text less likely, as transformers does.
        presence_penalty: subtracted from the logits of tokens that stand in the text.
        frequency_penalty: the same for every time that they stand there.
        logit_bias: token → what is added to its logit.
        top_logprobs: so many of the likeliest tokens of every step are told; None tells not even the taken one's.
        ends: tokens that end the text; they are part of it.
        stop: strings that end the text.
        grammar: what the text has to look like.
    """

    max_tokens: int
    min_tokens: int = 0
    temperature: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    top_logprobs: int | None = None
    ends: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    grammar: Grammar | None = None


@dataclass(frozen=True)
class Prompt:
    """A text to write.

    Args:
        id: by which its result is known.
        ids: int64 [tokens], of the prompt; at least one.
        decoding: how it is written.
        key: of its random numbers (``engine.generation.sampling``); counts where a temperature is given.
    """

    id: int
    ids: Index
    decoding: Decoding
    key: int = 0


@dataclass(frozen=True)
class TokenLogprobs:
    """Natural-log probabilities of every step under the model, before anything is done to its logits.

    Args:
        taken: float32 [steps], of the tokens that were taken.
        ids, top: int32 and float32 [steps, top_logprobs], the likeliest tokens, best first, and theirs.
    """

    taken: npt.NDArray[np.float32]
    ids: npt.NDArray[np.int32]
    top: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Written:
    """What was written after a prompt.

    Args:
        id: of the prompt.
        ids: int64 [steps], the token that ended it included.
        finish_reason: stop (an end token, a stop string or the end of the grammar) or length.
        logprob: sum of the tokens' natural-log probabilities under the model, before anything is done to its logits.
        prompt_tokens: of the prompt.
        cached_tokens: of these, those whose keys and values were there already: of a common prefix or an earlier turn.
        logprobs: where the prompt asked for them.
    """

    id: int
    ids: Index
    finish_reason: str
    logprob: float
    prompt_tokens: int
    cached_tokens: int = 0
    logprobs: TokenLogprobs | None = None


#: What a prompt's result is: a text, or why there is none.
Result: TypeAlias = Written | tuple[int, RowError]
#: Given what was written, the prompt that goes on from it (of the same id), or None.
Follow: TypeAlias = Callable[[Written], Prompt | None]


class Backend(Protocol):
    """Writes texts. One lives in a worker for each loaded model."""

    def generate(self, prompts: Sequence[Prompt], follow: Follow | None = None) -> Iterator[Result]:
        """The result of every prompt once, in whatever order; a prompt that can't be written costs no other.

        Args:
            prompts: with ids that differ.
            follow: asked after every text that was written; a prompt that it gives is written next, and is best one
                that begins with the tokens of the earlier prompt and text, whose keys and values may be kept for it.
                The earlier text is a result all the same.
        """


def rejected(prompt: Prompt, reason: RowError) -> tuple[int, RowError]:
    """The result of a prompt that can't be written."""
    return prompt.id, reason


def nothing(prompt: Prompt) -> Written:
    """The result of a prompt that may not write a token."""
    told = prompt.decoding.top_logprobs
    logprobs = None
    if told is not None:
        ids, top = np.zeros((0, told), np.int32), np.zeros((0, told), np.float32)
        logprobs = TokenLogprobs(np.zeros(0, np.float32), ids, top)
    return Written(prompt.id, np.zeros(0, np.int64), "length", 0.0, len(prompt.ids), logprobs=logprobs)


def vocabulary(model: Any) -> int:
    """Tokens that a model gives logits for."""
    return int(model.config.get_text_config(decoder=True).vocab_size)
