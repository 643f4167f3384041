"""What a model wrote for one segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.batching import Index


@dataclass(frozen=True)
class Written:
    """The tokens of one segment.

    Args:
        ids: int64 [tokens], behind the prompt, without the end token.
        logprobs: float32 [tokens], natural log of each one's probability among the tokens that the rules allowed.
        avg_logprob: their mean, the end token's among them where it was written: what transformers' generate compares
            with ``logprob_threshold``.
        no_speech_prob: probability of the no-speech token behind the start token, 0 for a model that has none.
        finish_reason: stop (the end token) or length.
    """

    ids: Index
    logprobs: npt.NDArray[np.float32]
    avg_logprob: float
    no_speech_prob: float
    finish_reason: Literal["stop", "length"]
