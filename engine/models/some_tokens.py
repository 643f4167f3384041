"""Heads over the vocabulary that compute the logits of some tokens alone.

A masked language model projects every token onto its vocabulary, though only those under a mask are read: of a text of
128 tokens with one mask, 127 rows of 30,000 numbers and more. Here the hidden states are picked before that projection,
which works on each token by itself, so that not one number of the answer changes but by rounding.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Final

#: Rows and columns of the tokens whose logits this thread's call wants; None outside ``logits_of``.
_WANTED: Final[ContextVar[Any]] = ContextVar("wanted", default=None)


def pick_before_projection(model: Any) -> None:
    """Makes a loaded model's output projection take the tokens that ``logits_of`` asks for, in place.

    Every other call of the model stays as it was. A model that scorers share is changed once. Runs in the worker.
    """
    projection = model.get_output_embeddings()
    if projection is not None and _pick not in projection._forward_pre_hooks.values():
        projection.register_forward_pre_hook(_pick)


def logits_of(loaded: Any, inputs: dict[str, Any], wanted: Any) -> Any:
    """The logits [tokens, vocabulary] of the tokens at ``wanted`` (rows, columns), on the device.

    Heads that project without calling their projection, as MobileBERT's, compute them all, and these are taken then.
    """
    token = _WANTED.set(wanted)
    try:
        logits = loaded(**inputs).logits
    finally:
        _WANTED.reset(token)
    return logits if logits.dim() == 2 else logits[wanted]


def _pick(_: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    wanted = _WANTED.get()
    if wanted is None:
        return None
    return (arguments[0][wanted], *arguments[1:])
