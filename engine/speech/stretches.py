"""A recording in stretches that share a stride with their neighbours, as transformers' pipeline cuts it for CTC.

https://huggingface.co/blog/asr-chunking tells why: letters near an edge lack context, so those of the stride are taken
from the neighbour that has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engine.audio.stream import Samples, Stream


class Stretch(NamedTuple):
    """A part of a recording.

    Args:
        samples: float32 [samples].
        start: the sample of the recording that it starts at.
        left, right: samples at its edges that its neighbours hear better.
    """

    samples: Samples
    start: int
    left: int
    right: int

    def kept(self, ratio: int) -> slice:
        """The frames that are its own, for a model of so many samples a frame."""
        frames = round(self.samples.size / ratio)
        left, right = (round(edge / self.samples.size * frames) for edge in (self.left, self.right))
        return slice(left, frames - right if right else None)


def stretches(stream: Stream, *, window: int, stride: int) -> Iterator[Stretch]:
    """Stretches of ``window`` samples, the last one shorter; one for a recording that is no longer, none for an empty.

    Args:
        window: samples of a stretch, more than twice the stride.
        stride: samples that it shares with each neighbour.
    """
    step = window - 2 * stride
    held = stream.read(window + 1)  # one sample more tells that the recording goes on
    start = left = 0
    while held.size > window:
        yield Stretch(held[:window], start, left, stride)
        held = np.concatenate([held[step:], stream.read(step)])
        start, left = start + step, stride
    if held.size:
        yield Stretch(held, start, left, 0)


def aligned(seconds: float, *, rate: int, ratio: int) -> int:
    """Samples of so many seconds, a whole number of frames."""
    return round(seconds * rate / ratio) * ratio
