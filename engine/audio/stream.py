"""One recording as a stream of samples: float32, one channel, at the rate that the model hears."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


class Stream:
    """Samples on demand. Lives in a reader thread.

    Attributes:
        rate: samples a second.
    """

    def __init__(self, blocks: Iterator[Samples], rate: int) -> None:
        self._blocks = blocks
        self._held = np.zeros(0, np.float32)
        self._taken = 0
        self.rate = rate

    @property
    def seconds(self) -> float:
        """Seconds of audio that were read so far."""
        return self._taken / self.rate

    def read(self, samples: int) -> Samples:
        """The next samples, float32 [samples]; fewer at the end of the recording only.

        Raises RowError where the recording breaks off, holds no numbers or passes a limit.
        """
        parts, have = [self._held], self._held.size
        while have < samples:
            block = next(self._blocks, None)
            if block is None:
                break
            parts.append(block)
            have += block.size
        joined = np.concatenate(parts) if len(parts) > 1 else self._held
        self._held = joined[samples:]
        taken = joined[:samples]
        self._taken += taken.size
        return taken
