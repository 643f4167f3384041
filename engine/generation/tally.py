"""The tokens that stand in a text, counted as it grows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.continuous.row import Row


class Tally:
    """Distinct tokens of a row that penalties look at, and how often each stands in what was written.

    Those of the prompt are among them where the row has a repetition penalty. Tokens outside the vocabulary, which some
    models read and never write, are left out.
    """

    def __init__(self, row: Row, size: int) -> None:
        repeats = row.prompt.decoding.repetition_penalty != 1
        read = np.unique(row.prompt.ids) if repeats else np.zeros(0, np.int64)
        self.row = row
        self.size = size
        self.step = 0
        self._ids = read[(read >= 0) & (read < size)].astype(np.int64)
        self._counts = np.zeros(len(self._ids), np.float32)
        self._at = {token: at for at, token in enumerate(self._ids.tolist())}

    def __len__(self) -> int:
        return len(self._at)

    @property
    def ids(self) -> Index:
        """int64 [tokens]."""
        return self._ids[: len(self)]

    @property
    def counts(self) -> npt.NDArray[np.float32]:
        """float32 [tokens], 0 for those that stand in the prompt alone."""
        return self._counts[: len(self)]

    def update(self) -> None:
        """Counts what was written since."""
        for token in self.row.written[self.step : self.row.step].tolist():
            if token < self.size:
                place = self._place(token)
                self._counts[place] += 1
        self.step = self.row.step

    def _place(self, token: int) -> int:
        at = self._at.setdefault(token, len(self._at))
        if at == len(self._ids):
            room = max(16, at)
            self._ids = np.concatenate([self._ids, np.zeros(room, np.int64)])
            self._counts = np.concatenate([self._counts, np.zeros(room, np.float32)])
        self._ids[at] = token
        return at
