"""Noise that belongs to a row: the same for its seed, whatever is spoken beside it and on whatever device.

Every row has a counter of its own (NumPy's Philox), whose key is a hash; its numbers come in the order of time, so that
more of them begin with the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def generator(key: int, stream: int = 0) -> np.random.Generator:
    """The numbers of a row; each ``stream`` has its own."""
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, stream]))


def normals(
    keys: Sequence[int], lengths: npt.NDArray[np.int64], channels: int, *, stream: int
) -> npt.NDArray[np.float32]:
    """float32 [rows, longest, channels] of the standard normal distribution, zeros behind a row's length."""
    made = np.zeros((len(keys), int(lengths.max(initial=0)), channels), np.float32)
    for row, (key, length) in enumerate(zip(keys, lengths.tolist(), strict=True)):
        made[row, :length] = generator(key, stream).standard_normal((length, channels), np.float32)
    return made
