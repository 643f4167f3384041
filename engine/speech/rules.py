"""What a Whisper may write: tokens it never writes, tokens it never begins with, time stamps in rising pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import ModelError

#: Settings that change what is written and that are not followed here; the values are those that ask for nothing.
_OTHERS: Final[Mapping[str, Any]] = {
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "min_length": 0,
    "min_new_tokens": 0,
    "top_p": 1.0,
    "typical_p": 1.0,
    "min_p": None,
    "bad_words_ids": None,
    "sequence_bias": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "guidance_scale": 1.0,
    "exponential_decay_length_penalty": None,
}


@dataclass(frozen=True)
class Rules:
    """What may be written: transformers' logits processors for Whisper, as numbers.

    Args:
        timestamps: whether time stamps are written, by Whisper's rules for them.
        end: the end token.
        start: the start token, at which the no-speech probability is read.
        positions: tokens that the decoder takes, the prompt's among them.
        max_new_tokens: tokens to write at most; None takes ``max_length``.
        max_length: of the model's generation configuration: counts from the prompt's start, but for a prompt's first
            half of the positions, as in transformers.
        suppress: tokens that are never written.
        begin_suppress: tokens that are not written first.
        no_timestamps: the token that says that no time stamps follow; they stand behind it. None for a model that
            has none.
        max_initial_timestamp: of the time stamps, the last that may come first; None for any.
        top_k: tokens that are drawn from at a temperature above 0, the likeliest; 0 for all.
    """

    timestamps: bool
    end: int
    start: int
    positions: int
    max_new_tokens: int | None = None
    max_length: int = 448
    suppress: tuple[int, ...] = ()
    begin_suppress: tuple[int, ...] = ()
    no_timestamps: int | None = None
    max_initial_timestamp: int | None = None
    top_k: int = 50

    @classmethod
    def of(cls, model: Any, *, timestamps: bool, max_new_tokens: int | None = None) -> Rules:
        """The rules of a model's generation configuration.

        Raises ModelError where it has no token for time stamps and they are asked for, or holds settings that are
        not followed here.
        """
        config = model.generation_config
        _check(config, timestamps)
        first_stamp = getattr(config, "max_initial_timestamp_index", None)
        return cls(
            timestamps=timestamps,
            end=_one(config.eos_token_id),
            start=int(config.decoder_start_token_id),
            positions=int(model.config.max_target_positions),
            max_new_tokens=max_new_tokens,
            max_length=config.max_length or 20,  # 20 is what transformers takes where a configuration says nothing
            suppress=tuple(config.suppress_tokens or ()),
            begin_suppress=tuple(config.begin_suppress_tokens or ()),
            no_timestamps=getattr(config, "no_timestamps_token_id", None),
            max_initial_timestamp=None if first_stamp is None else int(first_stamp),
            top_k=50 if config.top_k is None else int(config.top_k),
        )

    @property
    def first_stamp(self) -> int:
        """The token of 0.00 s; no token where the model has no time stamps."""
        return 1 << 62 if self.no_timestamps is None else self.no_timestamps + 1

    @property
    def no_speech(self) -> int | None:
        """The token that says that nobody speaks: the one before ``no_timestamps``."""
        return None if self.no_timestamps is None else self.no_timestamps - 1

    def room(self, prompt: int) -> int:
        """Tokens that may be written behind a prompt of so many."""
        left = self.positions - prompt
        if self.max_new_tokens is not None:
            return min(self.max_new_tokens, left)
        return min(self.max_length + min(self.positions // 2 - 1, prompt) - prompt, left)


def _check(config: Any, timestamps: bool) -> None:
    if timestamps and getattr(config, "no_timestamps_token_id", None) is None:
        raise ModelError(
            "expected a generation configuration with no_timestamps_token_id, as Whispers have that write time stamps: "
            "log the model with one, or ask for timestamps=none"
        )
    for name in ("decoder_start_token_id", "eos_token_id"):
        if getattr(config, name, None) is None:
            raise ModelError(
                f"expected a generation configuration with {name}, got none: log the model with the "
                "generation_config.json of the Whisper it was made from"
            )
    for name, nothing in _OTHERS.items():
        value = getattr(config, name, None)
        if value is not None and value != nothing:
            raise ModelError(
                f"expected a generation configuration with Whisper's own settings; {name} is {value!r}, which is not "
                "followed here: log the model without it"
            )


def _one(token: int | list[int]) -> int:
    if isinstance(token, int):
        return token
    if len(token) != 1:
        raise ModelError(f"expected a generation configuration with one end token, got {len(token)}")
    return int(token[0])
