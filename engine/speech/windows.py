"""A stream → windows that are heard side by side: cut in pauses; where there is none, neighbours overlap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from engine.audio.stream import Samples, Stream

#: Seconds over which loudness is averaged: what lasts less is no pause between words.
_PAUSE_S: Final = 0.3
#: A pause is so much quieter than what is loud in its window: 20 dB.
_QUIET: Final = 0.01
#: Power below which all is a pause: 90 dB below full scale.
_SILENT: Final = 1e-9
#: Share of a window, its last, in which pauses are looked for.
_LAST: Final = 1 / 3
#: Share of a window that neighbours without a pause between them both hear: 5 of 30 s, as in transformers' pipeline.
_OVERLAP: Final = 1 / 6


class Window(NamedTuple):
    """Samples of one window; ``start`` and what it shares with the window before, in samples."""

    samples: Samples
    start: int
    shared: int


def windows(stream: Stream, *, most: int, hop: int) -> Iterator[Window]:
    """Consecutive windows of at most ``most`` samples, cut at multiples of ``hop`` samples.

    A window ends in the quietest place of its last third, if that is a pause; else where it is full, and the next one
    begins a sixth of a window earlier. Runs in a reader thread.
    """
    held, start, shared = stream.read(most + 1), 0, 0
    while held.size > most:
        place = pause(held[:most], stream.rate, hop)
        end = most - most % hop if place is None else place
        yield Window(held[:end], start, shared)
        shared = 0 if place is not None else int(most * _OVERLAP) // hop * hop
        kept = held[end - shared :]
        start += end - shared
        held = np.concatenate([kept, stream.read(most + 1 - kept.size)])
    if held.size:
        yield Window(held, start, shared)


def pause(samples: Samples, rate: int, hop: int) -> int | None:
    """The middle of the quietest pause in the last third, in samples; None where there is none."""
    steps = samples.size // hop
    wide = max(1, min(round(_PAUSE_S * rate / hop), steps))
    power = np.square(samples[: steps * hop].reshape(steps, hop), dtype=np.float64).mean(axis=1)
    mean = np.lib.stride_tricks.sliding_window_view(power, wide).mean(axis=1)
    first = int(mean.size * (1 - _LAST))
    last_third = mean[first:]
    place = int(last_third.size - 1 - np.argmin(last_third[::-1]))
    if last_third[place] > max(_SILENT, _QUIET * float(np.quantile(mean, 0.9))):
        return None
    return (first + place + wide // 2) * hop
