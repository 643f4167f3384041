"""When a text ends: an end token, a stop string, or as many tokens as were asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.batching import Index


class Stopping:
    """The end tokens and the stop strings of a model and a job.

    Args:
        tokenizer: of the model; makes text of tokens.
        ends: the configuration's end token, several or none.
        strings: that end the text; one that is a special token, which texts don't show, ends it as a token.
    """

    def __init__(self, tokenizer: Any, ends: int | Sequence[int] | None, strings: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        special = {token for token in tokenizer.all_special_tokens if token in strings}
        tokens = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        self.ends = np.array([*tokens, *(tokenizer.convert_tokens_to_ids(token) for token in special)], np.int64)
        self.strings = tuple(string for string in strings if string not in special)
        # A token that shows in a text has a byte of it at least.
        self.tail = max((len(string.encode()) for string in self.strings), default=0) + 8
        self.pad = int(tokenizer.pad_token_id)

    def ended(self, written: Index) -> npt.NDArray[np.bool_]:
        """bool [rows], of tokens [rows, steps] the last of which is new: whether the text ends with it."""
        ended = np.isin(written[:, -1], self.ends)
        if self.strings:
            texts = self.texts(written[:, -self.tail :])
            ended |= np.array([any(string in text for string in self.strings) for text in texts], bool)
        return np.asarray(ended)

    def criteria(self, width: int) -> list[Callable[..., Any]]:
        """The same for transformers' beam search, over sequences whose first ``width`` tokens are not written."""
        import torch

        def ended(ids: Any, scores: Any, **_: Any) -> Any:
            return torch.from_numpy(self.ended(ids[:, width:].cpu().numpy())).to(ids.device)

        return [ended]

    def trimmed(self, ids: Index) -> tuple[Index, str]:
        """A text's tokens up to the one that ended it, and its finish reason, of tokens padded on the right."""
        for steps in range(1, len(ids) + 1):
            if self.ended(ids[None, :steps])[0]:
                return ids[:steps], "stop"
        return ids, "length"

    def texts(self, ids: Sequence[Index] | Index) -> list[str]:
        """The text of each row of tokens, special tokens left out."""
        found: list[str] = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return found

    def cut(self, text: str) -> str:
        """The text before the first stop string."""
        return text[: min((at for at in map(text.find, self.strings) if at >= 0), default=len(text))]
