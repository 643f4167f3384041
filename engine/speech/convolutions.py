"""Convolutions over samples that hear each recording of a batch by itself.

wav2vec2 and its kin turn samples into frames by a stack of convolutions. In half of them (``feat_extract_norm`` is
"group") its first layer normalises each channel over time, padding included, so that a batch's longest recording
changes every other. Heard one by one, at their own lengths, recordings share all layers above, which mask padding. The
stack is a third of the arithmetic of a base model, and its memory, a hundred times the samples', is then needed for one
recording at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

#: Samples of each recording of this thread's call; None outside ``hear``.
_LENGTHS: Final[ContextVar[Sequence[int] | None]] = ContextVar("lengths", default=None)


def hear_one_by_one(model: Any) -> None:
    """Makes a loaded model's convolutions heed the lengths that ``hear`` is given, in place.

    Every other call of the model stays as it was. A model that scorers share is changed once. Runs in the worker.
    """
    convolutions = model.base_model.feature_extractor
    if not isinstance(convolutions.forward, partial):
        convolutions.forward = partial(_each, convolutions.forward)


def hear(loaded: Any, samples: Any, lengths: Sequence[int], **inputs: Any) -> Any:
    """The model's output for recordings of these lengths, padded to the longest: samples [recordings, longest]."""
    token = _LENGTHS.set(lengths)
    try:
        return loaded(input_values=samples, **inputs)
    finally:
        _LENGTHS.reset(token)


def _each(forward: Callable[[Any], Any], samples: Any) -> Any:
    lengths = _LENGTHS.get()
    if lengths is None:
        return forward(samples)
    rows = [forward(row[None, :length])[0] for row, length in zip(samples, lengths, strict=True)]
    frames = rows[0].new_zeros(len(rows), rows[0].shape[0], max(row.shape[1] for row in rows))
    for into, row in zip(frames, rows, strict=True):
        into[:, : row.shape[1]] = row
    return frames
