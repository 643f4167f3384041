"""Segments with a tiny tokenizer, for tests of what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.speech.clip import Spoken
from engine.speech.vocabulary import Vocabulary


def vocabulary(tokenizer: Any) -> Vocabulary:
    times = int(tokenizer.convert_tokens_to_ids("<|0.00|>"))
    return Vocabulary(
        start=0, end=0, previous=0, no_timestamps=times - 1, languages={}, tasks={}, size=len(tokenizer), step_s=0.02
    )


def said(tokenizer: Any, text: str, start: float, end: float, *, moments: bool = False) -> Spoken:
    """A text, said evenly from start to end (seconds), each token with probability a half."""
    ids = np.array(tokenizer(text, add_special_tokens=False)["input_ids"], np.int64)
    return Spoken(
        start=start,
        end=end,
        ids=ids,
        logprobs=np.log(np.full(ids.size, 0.5, np.float32)),
        moments=np.linspace(start, end, ids.size + 1) if moments else None,
        avg_logprob=-0.7,
        no_speech_prob=0.1,
    )
