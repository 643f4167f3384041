"""Recordings, or windows of them, put together by length: batches out of a pool that holds a bounded amount."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from engine.batching import micro_batches


class Heard(NamedTuple):
    """What a model hears of one recording.

    Args:
        item: which recording.
        arrays: what the feature extractor made of it, by the names that the model takes; time comes first in what may
            be padded.
        samples: of audio in it.
        truncated: whether the recording has more.
        cost: samples that it takes of a batch: its own, or those of the length its extractor fills.
    """

    item: int
    arrays: dict[str, npt.NDArray[Any]]
    samples: int
    truncated: bool
    cost: int


class Costly(Protocol):
    """What takes room in a batch."""

    @property
    def cost(self) -> int:
        """Samples that it takes."""


T = TypeVar("T", bound=Costly)


def batches(heard: Iterable[T], budget: int, *, pool: int, overhead: int) -> Iterator[list[T]]:
    """Recordings, or windows of them, of like length together, the longest of the pool first.

    Args:
        heard: recordings, in any order.
        budget: samples of a batch at most, padding counted; a longer recording goes alone.
        pool: samples that are gathered before they are sorted and cut.
        overhead: samples that a batch more is worth (``engine.batching.micro_batches``); 0 pads nothing, so that only
            recordings of equal cost share a batch.
    """
    waiting: list[T] = []
    held = 0
    for one in heard:
        waiting.append(one)
        held += one.cost
        if held >= pool:
            yield from _cut(waiting, budget, overhead)
            waiting, held = [], 0
    yield from _cut(waiting, budget, overhead)


def _cut(waiting: Sequence[T], budget: int, overhead: int) -> Iterator[list[T]]:
    costs = np.array([one.cost for one in waiting], np.int64)
    for batch in micro_batches(costs, budget, overhead=overhead):
        yield [waiting[i] for i in batch.tolist()]


def tensors(
    rows: Sequence[Mapping[str, npt.NDArray[Any]]], padding_value: float, *, device: str, dtype: Any
) -> dict[str, Any]:
    """``stacked`` arrays on the device, those of floats in this dtype of torch."""
    import torch

    found = {name: torch.from_numpy(array) for name, array in stacked(rows, padding_value).items()}
    return {name: one.to(device, dtype if one.is_floating_point() else None) for name, one in found.items()}


def stacked(rows: Sequence[Mapping[str, npt.NDArray[Any]]], padding_value: float) -> dict[str, npt.NDArray[Any]]:
    """The arrays of all rows [rows, …], padded at the end of time with ``padding_value``, their masks with 0."""
    found = {}
    for name in rows[0]:
        arrays = [one[name] for one in rows]
        value = 0 if name == "attention_mask" else padding_value
        found[name] = np.stack([_padded(one, max(len(a) for a in arrays), value) for one in arrays])
    return found


def _padded(array: npt.NDArray[Any], length: int, value: float) -> npt.NDArray[Any]:
    missing = length - len(array)
    return np.pad(array, [(0, missing), *[(0, 0)] * (array.ndim - 1)], constant_values=value) if missing else array
