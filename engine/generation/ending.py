"""Whether a row that grows by a token a step has ended, each as it asks. On the CPU."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np

from engine.continuous.row import Row
from engine.generation.stopping import Stopping

#: Sets of stop strings that are kept ready, and answers on tokens.
_SETS: Final = 256
_ANSWERS: Final = 1 << 16
#: What a tokenizer writes for a part of a character.
_PART: Final = "\ufffd"


class Ending:
    """Ends rows: at an end token, at a stop string anywhere in the text, at as many tokens as were asked for.

    Only rows with stop strings are decoded, only after a token that can complete one, and then no more than it can
    complete. So a row has to be asked about after every token.

    Args:
        tokenizer: of the model; makes text of tokens.
    """

    def __init__(self, tokenizer: Any) -> None:
        stopping = lru_cache(_SETS)(lambda strings: Stopping(tokenizer, None, strings))

        @lru_cache(_ANSWERS)
        def completes(strings: tuple[str, ...], token: int) -> bool:
            [text] = stopping(strings).texts(np.array([[token]]))
            # Spaces between tokens belong to none of them, and special tokens have no text.
            return not text or _PART in text or any(s[-1] in text or s[-1].isspace() for s in strings)

        self._stopping, self._completes = stopping, completes

    def __call__(self, row: Row) -> str | None:
        """The finish reason (stop or length) of a row whose last token is new; None while it goes on."""
        asked = row.prompt.decoding
        if row.step:
            token = int(row.written[row.step - 1])
            if token in asked.ends or (asked.stop and self._stops(row, asked.stop, token)):
                return "stop"
        return "length" if row.step >= asked.max_tokens else None

    def _stops(self, row: Row, strings: tuple[str, ...], token: int) -> bool:
        return self._completes(strings, token) and bool(self._stopping(strings).ended(row.ids[None])[0])
