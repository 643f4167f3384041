"""Spectrograms of many rows to waveforms, each as the vocoder alone would make it.

A HiFi-GAN (https://arxiv.org/abs/2010.05646) is made of convolutions, so that a sample hears a few frames around it and
no more: long spectrograms are cut into pieces that overlap by those, which bounds the memory however long a row is.
Pieces of different lengths share a batch where what lies behind a piece's end is silenced before every convolution,
which is what a convolution pads the end of a row alone with; transformers' own batches let it sound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from engine.voice.instead import instead
from engine.voice.voice import Waveform

#: Frames of a piece: about ten seconds.
PIECE: Final = 1024


@dataclass(frozen=True)
class Piece:
    """Frames ``start`` to ``stop`` of a row's spectrogram, heard with those from ``first`` to ``last`` around them."""

    row: int
    start: int
    stop: int
    first: int
    last: int

    @property
    def width(self) -> int:
        """Frames that are heard."""
        return self.last - self.first


@dataclass(frozen=True)
class HifiGan:
    """A vocoder of transformers, whichever class it is of.

    Args:
        render: spectrograms [pieces, bins, frames] → waveforms [pieces, samples].
        config: of the vocoder, with its rates and kernels.
        frames: of a batch at most, padding counted; a piece that is longer goes alone.
    """

    render: Callable[[Any], Any]
    config: Any
    frames: int

    @property
    def hop(self) -> int:
        """Samples of a frame."""
        return math.prod(self.config.upsample_rates)

    @property
    def context(self) -> int:
        """Frames on each side of a sample that it hears."""
        config, rate, reach = self.config, 1, 3.0
        blocks = list(zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True))
        for up, kernel in zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True):
            reach += kernel / up / rate
            rate *= up
            reach += max(sum(size // 2 * (dilation + 1) for dilation in dilations) for size, dilations in blocks) / rate
        return math.ceil(reach + 3 / rate) + 1

    def waveforms(self, spectrograms: Any, lengths: Sequence[int]) -> list[Waveform]:
        """float32 [frames × hop] of each row: of ``spectrograms`` [rows, bins, longest] its ``lengths``."""
        hop = self.hop
        made = [np.zeros(length * hop, np.float32) for length in lengths]
        for group in self._groups(lengths):
            for piece, heard in zip(group, self._heard(spectrograms, group), strict=True):
                before = (piece.start - piece.first) * hop
                samples = (piece.stop - piece.start) * hop
                made[piece.row][piece.start * hop : piece.stop * hop] = heard[before : before + samples]
        return made

    def _groups(self, lengths: Sequence[int]) -> Iterator[list[Piece]]:
        """The pieces of all rows, in batches; the longest come first."""
        pieces = sorted(self._pieces(lengths), key=lambda piece: -piece.width)
        while pieces:
            room = max(1, self.frames // pieces[0].width) if self._even else 1
            yield pieces[:room]
            pieces = pieces[room:]

    def _pieces(self, lengths: Sequence[int]) -> Iterator[Piece]:
        around = self.context
        for row, length in enumerate(lengths):
            for start in range(0, length, PIECE):
                stop = min(start + PIECE, length)
                yield Piece(row, start, stop, max(0, start - around), min(length, stop + around))

    @property
    def _even(self) -> bool:
        """Whether each stage makes exactly ``rate`` samples of one, so that an end stays where it is."""
        sizes = zip(self.config.upsample_rates, self.config.upsample_kernel_sizes, strict=True)
        return all((kernel - rate) % 2 == 0 for rate, kernel in sizes)

    def _heard(self, spectrograms: Any, group: Sequence[Piece]) -> Waveform:
        """float32 [pieces, samples] of what is heard of these pieces."""
        widths = [piece.width for piece in group]
        frames = spectrograms.new_zeros(len(group), spectrograms.shape[1], widths[0])
        for at, piece in enumerate(group):
            frames[at, :, : piece.width] = spectrograms[piece.row, :, piece.first : piece.last]
        with nullcontext() if widths[-1] == widths[0] else silenced(widths, frames):
            heard: Waveform = self.render(frames).float().cpu().numpy()
        return heard


def silenced(widths: Sequence[int], frames: Any) -> Any:
    """A block in which convolutions hear nothing behind a row's end: ``widths`` of ``frames`` [rows, bins, longest].

    Each stage has more samples a frame; which one it is, its input's length tells.
    """
    import torch

    longest = frames.shape[-1]
    at = torch.arange(longest, device=frames.device)
    inside = (at < torch.tensor(widths, device=frames.device)[:, None]).to(frames.dtype)[:, None]

    def silent(hidden: Any) -> Any:
        if hidden.shape[-1] % longest:  # what conditions a whole row has no time
            return hidden
        return hidden * inside.repeat_interleave(hidden.shape[-1] // longest, dim=-1)

    def within(convolution: Any) -> Callable[..., Any]:
        return lambda hidden, *args, **kwargs: convolution(silent(hidden), *args, **kwargs)

    return instead({one: within(one) for one in (torch.conv1d, torch.conv_transpose1d)})
