"""What the machine could do at best: its matrix products at a batch's size, and its memory's bandwidth, measured.

A token that is written takes every weight once: as a matrix product with as many rows as answers are written at once.
The keys and values of what stands before it are read once. A prompt's tokens go through all weights but the last
layer's of the vocabulary, in one large product; those that all prompts share are computed once for every process.
Nothing else is counted: no norm, no attention's arithmetic, no choice of tokens, no Python.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.chat.rows import Row, common

#: Answers that are written at once; the best of them is the limit's.
BATCHES: Final = (8, 16, 32, 64, 128)
_PREFILL: Final = 512  # tokens of prompts in one product


@dataclass(frozen=True)
class Sizes:
    """Of a model like Llama: weights of its layers and of the head's vocabulary, and numbers that a token keeps."""

    hidden: int
    wide: int
    weights: int
    head: int
    cached: int

    @classmethod
    def of(cls, config: Any) -> Sizes:
        """Of a transformers configuration."""
        hidden, wide, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
        head = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
        queries, keys = config.num_attention_heads * head, config.num_key_value_heads * head
        layer = hidden * (2 * queries + 2 * keys) + 3 * hidden * wide
        return cls(hidden, wide, layers * layer, hidden * config.vocab_size, 2 * layers * keys)


def seconds(rows: Sequence[Row], sizes: Sizes, speeds: dict[str, Any], *, batch: int, processes: int) -> float:
    """The least that these rows take with so many written at once.

    Args:
        speeds: what ``measured`` gives: ``flops`` by rows of a product, ``bytes_s``, ``item`` bytes of a number.
    """
    shared = common(rows)
    own = sum(len(row.ids) - shared for row in rows) + processes * shared
    written = sum(row.answer for row in rows)
    flops = speeds["flops"]
    writing = 2 * written * (sizes.weights + sizes.head) / flops[batch]
    reading = 2 * (own * sizes.weights + len(rows) * sizes.head) / flops[_PREFILL]
    # Of step i the keys and values of the prompt's own tokens and of i tokens written before.
    tokens = sum(row.answer * (len(row.ids) - shared) + row.answer * (row.answer - 1) // 2 for row in rows)
    return writing + reading + tokens * sizes.cached * speeds["item"] / speeds["bytes_s"]


def limit(rows: Sequence[Row], sizes: Sizes, *, dtype: str, device: str, cores: int) -> dict[str, Any]:
    """Output tokens per second at best, by batch, and the measured speeds that they come from."""
    processes = cores if device == "cpu" else 1
    speeds = measured(sizes, dtype=dtype, device=device, processes=processes)
    written = sum(row.answer for row in rows)
    by_batch = {batch: written / seconds(rows, sizes, speeds, batch=batch, processes=processes) for batch in BATCHES}
    best = max(by_batch, key=by_batch.__getitem__)
    return {
        "tokens_per_s": by_batch[best],
        "batch": best,
        "by_batch": {str(batch): rate for batch, rate in by_batch.items()},
        "gflops": {str(size): rate / 1e9 for size, rate in speeds["flops"].items()},
        "gbytes_s": speeds["bytes_s"] / 1e9,
    }


def measured(sizes: Sizes, *, dtype: str, device: str, processes: int) -> dict[str, Any]:
    """Operations per second of all processes' products together, by rows, and bytes per second that they read."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    with context.Pool(processes, _meet, (barrier,)) as pool:
        asked = [(sizes, dtype, device)] * processes
        told = pool.starmap(_speeds, asked, chunksize=1)
    flops = {size: sum(one["flops"][size] for one in told) for size in told[0]["flops"]}
    return {"flops": flops, "bytes_s": sum(one["bytes_s"] for one in told), "item": told[0]["item"]}


_barrier: Any = None


def _meet(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _speeds(sizes: Sizes, dtype: str, device: str) -> dict[str, Any]:
    import torch

    if device == "cpu":
        torch.set_num_threads(1)
    # As many matrices as a model has, so that they come from memory as a model's do.
    count = max(2, min(90, 3 * sizes.weights // (4 * sizes.hidden * sizes.wide)))
    weights = [torch.randn(sizes.wide, sizes.hidden, device=device).to(getattr(torch, dtype)) for _ in range(count)]
    flops = {}
    for size in (*BATCHES, _PREFILL):
        x = torch.randn(size, sizes.hidden, device=device).to(weights[0].dtype)
        took = _best(lambda x=x: [torch.nn.functional.linear(x, w) for w in weights], device)
        flops[size] = 2 * size * sizes.hidden * sizes.wide * count / took
    values = torch.zeros(1 << 26, dtype=torch.uint8, device=device).view(torch.float32)
    return {"flops": flops, "bytes_s": (1 << 26) / _best(values.sum, device), "item": weights[0].element_size()}


def _best(work: Any, device: str) -> float:
    """Seconds of the fastest of a few tries, which all processes start together."""
    import torch

    found = []
    with torch.inference_mode():
        for _ in range(4):
            _barrier.wait()
            start = time.perf_counter()
            work()
            if device != "cpu":
                torch.cuda.synchronize()
            found.append(time.perf_counter() - start)
    return min(found)
