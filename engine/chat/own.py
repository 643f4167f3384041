"""What a model's own generation configuration says of chats. Runs in the worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.errors import ModelError
from engine.generation.lengths import NEW_TOKENS
from engine.generation.settings import alone, check_model
from engine.tasks.limits import longest_input, positions


@dataclass(frozen=True)
class Own:
    """A model's bounds and defaults, as transformers' ``generate`` takes them.

    Args:
        samples: whether tokens are drawn where nobody says.
        temperature, top_k, top_p, min_p: of drawing.
        repetition_penalty: of every text.
        ends: tokens that end a text.
        stop: strings that end a text.
        new: tokens to write at most where nobody says; None where only ``total`` bounds them.
        least: tokens to write at least.
        total: prompt and written tokens together at most, None where nothing counts them; ``own_total`` the same where
            nobody says how many to write.
        prompt: tokens of a prompt at most, whatever is written; None where nothing bounds it.
    """

    samples: bool
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    ends: tuple[int, ...]
    stop: tuple[str, ...]
    new: int | None
    least: int
    total: int | None
    own_total: int | None
    prompt: int | None

    @classmethod
    def of(cls, model: Any, tokenizer: Any, shipped: int | None) -> Own:
        """Reads it; ``shipped`` is what the bundle's manifest says of lengths.

        Raises ModelError where the configuration asks for what chats can't be written with.
        """
        check_model(model)
        config, _ = model._prepare_generation_config(None)
        unheld = alone(config)
        if unheld:
            raise ModelError(
                f"expected a generation configuration that chats can be written with, it asks for {', '.join(unheld)}: "
                "log the model without it"
            )
        length, counted = model.generation_config.max_length, positions(model)
        ends = config.eos_token_id if config.eos_token_id is not None else tokenizer.eos_token_id
        stop = config.stop_strings or ()
        return cls(
            samples=bool(config.do_sample),
            temperature=float(config.temperature),
            top_k=int(config.top_k or 0),
            top_p=float(config.top_p or 1.0),
            min_p=float(config.min_p or 0.0),
            repetition_penalty=float(config.repetition_penalty or 1.0),
            ends=() if ends is None else (ends,) if isinstance(ends, int) else tuple(ends),
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            new=config.max_new_tokens or (None if length else NEW_TOKENS),
            least=config.min_new_tokens or 0,
            total=counted,
            own_total=min(filter(None, (counted, None if config.max_new_tokens else length)), default=None),
            prompt=longest_input(model, tokenizer, shipped, None),
        )
