"""What vLLM gave for a prompt, as the engine's result. Runs in the worker."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import DeviceError, RowError, non_finite
from engine.generation.backend import Prompt, Result, TokenLogprobs, Written, rejected


def result(prompt: Prompt, output: Any) -> Result:
    """The result of a prompt, of the ``RequestOutput`` with its one text.

    Raises DeviceError where the text lacks the token that ended it, which releases this was not written against may
    leave out.
    """
    (text,) = output.outputs
    if text.finish_reason not in ("stop", "length"):
        return rejected(prompt, _unfinished(text.finish_reason, output))
    ids = np.array(text.token_ids, np.int64)
    if isinstance(text.stop_reason, int) and (not ids.size or ids[-1] != text.stop_reason):
        raise DeviceError(
            "expected vLLM to give the token that ended a text as its last one, it did not: install a release that "
            "embercast[vllm] names"
        )
    told = logprobs(text.logprobs, ids.size, prompt.decoding.top_logprobs or 0)
    total = float(told.taken.sum(dtype=np.float64))
    if not np.isfinite(total):
        return rejected(prompt, non_finite())
    asked = prompt.decoding.top_logprobs is not None
    cached = output.num_cached_tokens or 0
    return Written(prompt.id, ids, text.finish_reason, total, len(prompt.ids), cached, told if asked else None)


def logprobs(flat: Any, steps: int, likeliest: int) -> TokenLogprobs:
    """The log probabilities of a text, of vLLM's ``FlatLogprobs``.

    It holds the taken token and then the likeliest ones, best first, for one step after the other: so many of each
    step as were asked for, and one more.
    """
    shape = (steps, likeliest + 1)
    ids, values = np.array(flat.token_ids, np.int32), np.array(flat.logprobs, np.float32)
    if ids.size != steps * (likeliest + 1):
        raise DeviceError(
            f"expected {likeliest + 1} log probabilities of each of {steps} tokens from vLLM, got {ids.size} in all: "
            "install a release that embercast[vllm] names"
        )
    ids, values = ids.reshape(shape), values.reshape(shape)
    return TokenLogprobs(values[:, 0], ids[:, 1:], values[:, 1:])


def _unfinished(reason: str | None, output: Any) -> RowError:
    code = "" if output.error is None else f" ({output.error.code})"
    return RowError("forward_failed", f"vLLM gave up this text: {reason}{code}")
