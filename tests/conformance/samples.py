"""Texts for every task to score."""

from __future__ import annotations

import random
from typing import Final

from tests import tiny


def texts(seed: int) -> list[str | None]:
    """Texts of 0 to 80 words (the tiny models take 64 tokens) in two scripts, some null, some equal."""
    draw = random.Random(seed)
    made: list[str | None] = [" ".join(draw.choices(tiny.WORDS, k=draw.randrange(80))) for _ in range(12)]
    return [None, *made, made[3], "", None, "שלום 😀", made[5]]


TEXTS: Final = texts(1)
#: Two rows keep an equal pair, so that the pairs have duplicates too.
PAIRS: Final = [TEXTS[4] if text == TEXTS[4] else pair for text, pair in zip(TEXTS, texts(2), strict=True)]
