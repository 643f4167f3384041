"""How many tokens a prompt may have and how many are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.errors import RowError
from engine.generation.params import GenerationParams
from engine.tasks.limits import positions

#: New tokens where neither the job nor the model says how many: as transformers' text-generation pipeline has it.
NEW_TOKENS: Final = 256
_DECODER_POSITIONS: Final = ("max_decoder_position_embeddings", "max_target_positions", "max_position_embeddings")


@dataclass(frozen=True)
class Lengths:
    """Bounds of what the decoder sees: the prompt (or the one token a sequence-to-sequence model starts with) and text.

    Args:
        prompt: tokens of a prompt at most, None for a sequence-to-sequence model and where nothing bounds it.
        new: tokens to write at most; None where only ``total`` bounds them.
        total: prompt and written tokens together at most; None where nothing bounds them.
        least, least_total: tokens to write at least, alone and together with the prompt.
        causal: whether prompts stand in the decoder.
    """

    prompt: int | None
    new: int | None
    total: int | None
    least: int
    least_total: int
    causal: bool

    def most(self, prompts: npt.NDArray[np.int32]) -> Index:
        """int64 [prompts], tokens to write at most after prompts of these lengths; at least 1."""
        before = prompts.astype(np.int64) if self.causal else np.ones(len(prompts), np.int64)
        most = np.full(len(prompts), self.new or np.iinfo(np.int32).max, np.int64)
        return np.maximum(1, most if self.total is None else np.minimum(most, self.total - before))

    def fewest(self, prompts: npt.NDArray[np.int32]) -> Index:
        """int64 [prompts], tokens to write after prompts of these lengths before the text may end."""
        before = prompts.astype(np.int64) if self.causal else 1
        return np.minimum(np.maximum(self.least, self.least_total - before), self.most(prompts))

    @classmethod
    def of(cls, model: Any, config: Any, params: GenerationParams, length: int | None) -> Lengths:
        """The bounds of a model, whose positions are counted, and of a generation configuration.

        Args:
            config: transformers' GenerationConfig; its ``max_new_tokens`` is None where only ``length`` counts.
            length: tokens of prompt and text together, where the model's own configuration bounds them.

        Raises RowError(invalid_parameter) where the new tokens that are asked for leave no room for a prompt.
        """
        causal = not model.config.is_encoder_decoder
        new = config.max_new_tokens or (None if length else NEW_TOKENS)
        counted = positions(model) if causal else _decoder_positions(model.config)
        total = min(filter(None, (counted, None if config.max_new_tokens else length)), default=None)
        room = new or NEW_TOKENS
        if total is not None and params.max_new_tokens is None:
            room = min(room, total // 2)
        if total is not None and room >= total:
            raise RowError(
                "invalid_parameter", f"expected max_new_tokens below {total}, the model's positions; got {room}"
            )
        return cls(
            prompt=total - room if causal and total is not None else None,
            new=new,
            total=total,
            least=config.min_new_tokens or 0,
            least_total=config.min_length or 0 if config.min_new_tokens is None else 0,
            causal=causal,
        )


def _decoder_positions(config: Any) -> int | None:
    """Positions of a sequence-to-sequence model's decoder; None where they are not counted (relative positions)."""
    found = (getattr(config, name, None) for name in _DECODER_POSITIONS)
    return next((value for value in found if isinstance(value, int) and value > 0), None)
