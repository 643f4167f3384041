"""What is said in the recordings: sentences of the demonstration's reviews, which were written for it."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from demo.reviews import read

_PLAIN: Final = re.compile(r"[A-Za-z' ,.;:!?]+")


@cache
def sentences() -> tuple[str, ...]:
    """All sentences that are letters and points alone, each once, in the order of the file."""
    found = [one for review in read() for one in re.split(r"(?<=[.!?]) +", review.body)]
    return tuple(dict.fromkeys(one for one in found if _PLAIN.fullmatch(one)))


def texts(lengths: Sequence[int], *, seed: int = 0) -> list[str]:
    """A text of so many words for each length: sentences drawn without repeating one before all were said.

    A text's last sentence is cut where its words are enough.
    """
    draw = random.Random(seed)
    waiting: list[str] = []
    found = []
    for length in lengths:
        words: list[str] = []
        while len(words) < length:
            if not waiting:
                waiting = draw.sample(sentences(), len(sentences()))
            words += waiting.pop().split()
        found.append(" ".join(words[:length]).rstrip(",.;:!?") + ".")
    return found
