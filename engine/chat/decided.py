"""Parameters of a row, and what they ask of the model: decided once for rows that ask the same. Runs in the worker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from engine.chat.own import Own
from engine.chat.params import ChatParams
from engine.errors import ParameterError
from engine.generation.backend import Decoding, Grammar, vocabulary
from engine.generation.lengths import NEW_TOKENS
from engine.generation.stopping import Stopping


@dataclass(frozen=True)
class Decided:
    """What rows with equal parameters share.

    Args:
        params: theirs, the model's own not among them.
        decoding: with the most tokens that any of them may write.
        stopping: cuts their texts.
        total: prompt and written tokens together at most; None where nothing counts them.
        room: tokens of a prompt at most; None where nothing bounds it.
    """

    params: ChatParams
    decoding: Decoding
    stopping: Stopping
    total: int | None
    room: int | None

    def after(self, prompt: int) -> Decoding:
        """How a text is written after a prompt of so many tokens."""
        most = self.decoding.max_tokens
        if self.total is None or prompt + most <= self.total:
            return self.decoding
        most = max(0, self.total - prompt)
        return replace(self.decoding, max_tokens=most, min_tokens=min(self.decoding.min_tokens, most))


class Decider:
    """Decides for one loaded model.

    Args:
        model, tokenizer: of transformers.
        own: what the model's generation configuration says.
    """

    def __init__(self, model: Any, tokenizer: Any, own: Own) -> None:
        self.model, self.tokenizer, self.own = model, tokenizer, own
        self.vocabulary = vocabulary(model)

    def __call__(self, params: ChatParams) -> Decided:
        """What these parameters come to. Raises ParameterError where this model can't take them."""
        own = self.own
        ends = tuple(own.ends)
        if params.formatted and self.tokenizer.eos_token_id is not None:  # by which a grammar ends
            ends = tuple(dict.fromkeys((*ends, self.tokenizer.eos_token_id)))
        grammar = self._grammar(params, ends)
        stopping = Stopping(self.tokenizer, ends, (*own.stop, *params.stops))
        total, most, room = self._lengths(params)
        least = own.least if params.min_tokens is None else params.min_tokens
        decoding = Decoding(
            max_tokens=most,
            min_tokens=min(least, most),
            **self._drawing(params),
            repetition_penalty=_first(params.repetition_penalty, own.repetition_penalty),
            presence_penalty=float(params.presence_penalty),
            frequency_penalty=float(params.frequency_penalty),
            logit_bias=self._bias(params),
            top_logprobs=(params.top_logprobs or 0) if params.logprobs else None,
            ends=tuple(int(token) for token in stopping.ends),
            stop=stopping.strings,
            grammar=grammar,
        )
        return Decided(params, decoding, stopping, total, room)

    def _drawing(self, params: ChatParams) -> dict[str, Any]:
        """The likeliest token of every step, or how one is drawn."""
        own = self.own
        if not (own.samples if params.samples is None else params.samples):
            return {"temperature": None}
        return {
            "temperature": _first(params.temperature, own.temperature),
            "top_k": own.top_k if params.top_k is None else params.top_k,
            "top_p": _first(params.top_p, own.top_p),
            "min_p": _first(params.min_p, own.min_p),
        }

    def _lengths(self, params: ChatParams) -> tuple[int | None, int, int | None]:
        """Prompt and text together, the text, and the prompt: tokens at most."""
        own = self.own
        asked = params.max_tokens
        total = own.own_total if asked is None else own.total
        room = asked if asked is not None else own.new or NEW_TOKENS
        if total is not None and asked is None:
            room = min(room, total // 2)  # at least half of the positions are the prompt's
        if total is not None and room >= total:
            raise ParameterError(f"expected max_tokens below {total}, the model's positions, got {room}")
        most = asked if asked is not None else own.new or total or NEW_TOKENS
        bounds = (own.prompt, params.max_length, None if total is None else total - room)
        return total, most, min(filter(None, bounds), default=None)

    def _bias(self, params: ChatParams) -> dict[int, float]:
        bias = {int(token): float(value) for token, value in (params.logit_bias or {}).items()}
        if max(bias, default=0) >= self.vocabulary:
            raise ParameterError(f"expected token ids below {self.vocabulary} in logit_bias, got {max(bias)}")
        return bias

    def _grammar(self, params: ChatParams, ends: tuple[int, ...]) -> Grammar | None:
        if not params.formatted or params.response_format is None:
            return None
        from engine.structured import grammar_for

        return grammar_for(params.response_format, self.tokenizer, self.vocabulary, ends=ends)


def _first(asked: float | None, own: float) -> float:
    return own if asked is None else float(asked)
