"""Tokens drawn by chance, the same for a row whatever is scored beside it.

Every completion has random numbers of its own, one for each step, from a counter (NumPy's Philox) whose key is a hash.
A token is drawn by where the step's number falls in the cumulative probabilities: one number a row and step, and the
same token for the same number however the rows are batched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt


def keys(prompts: Sequence[str], seeds: Sequence[int | None], params: Any) -> Iterator[int]:
    """The key of each thing drawn, ``params.n`` for each prompt (1 without): of its seed, else of the parameters."""
    unseeded = _named(params)
    for prompt, seed in zip(prompts, seeds, strict=True):
        source = unseeded if seed is None else str(seed)
        start = hashlib.blake2b(f"{source}\0{prompt}".encode(), digest_size=16)
        for index in range(getattr(params, "n", 1)):
            own = start.copy()
            own.update(b"\0%d" % index)
            yield int.from_bytes(own.digest(), "little")


def _named(params: Any) -> str:
    """The parameters that are not the defaults, the same in every release that has them; 1 is 1.0 there too."""
    values = {f.name: getattr(params, f.name) for f in fields(params) if getattr(params, f.name) != f.default}
    return repr(sorted((name, float(value) if type(value) is int else value) for name, value in values.items()))


def uniforms(keys: Sequence[int], steps: int) -> npt.NDArray[np.float64]:
    """float64 [keys, steps], evenly spread between 0 and 1; fewer steps give the first of the same numbers."""
    raw = [np.random.Philox(key=key).random_raw(steps) for key in keys]
    high = np.array(raw, np.uint64).reshape(-1, steps) >> np.uint64(32)
    return np.asarray((high + 0.5) / 2.0**32, np.float64)


def draw(scores: Any, uniform: Any) -> Any:
    """int64 [rows], a token for each row: float32 scores [rows, vocabulary], float64 numbers [rows] above 0 below 1.

    A row of scores that has no distribution (NaN) gives -1.
    """
    import torch

    cumulative = torch.softmax(scores, dim=-1).cumsum(dim=-1, dtype=torch.float64)
    total = cumulative[:, -1]
    tokens = torch.searchsorted(cumulative, (uniform * total)[:, None], right=True).squeeze(1)
    return torch.where(total.isfinite(), tokens, -1)
