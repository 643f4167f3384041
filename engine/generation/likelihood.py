"""How likely a model finds texts that are already written: one forward pass over prompts and texts."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.generation.batch import Batch

#: Logits held at once, 4 bytes each.
_LOGITS: Final = 1 << 26


def logprobs(model: Any, batch: Batch, written: Sequence[Index], start: int | None) -> npt.NDArray[np.float32]:
    """float32 [texts], the sum of the natural-log probabilities of each text's tokens, given its prompt.

    Args:
        batch: the prompts.
        written: int64 [tokens] each, equally many texts for every prompt, those of the first prompt first.
        start: the token that a sequence-to-sequence model's decoder starts with; None for a causal model.
    """
    longest = max(len(ids) for ids in written)
    rows = np.repeat(np.arange(len(batch)), len(written) // len(batch))
    width = longest if start is not None or _keeps_last(model) else batch.ids.shape[1] + longest
    at_once = max(1, _LOGITS // (width * int(model.config.get_text_config().vocab_size)))
    parts = [np.arange(first, min(first + at_once, rows.size)) for first in range(0, rows.size, at_once)]
    sums = [_logprobs(model, batch.take(rows[part]), [written[int(i)] for i in part], start) for part in parts]
    return np.concatenate(sums)


def _logprobs(model: Any, batch: Batch, written: Sequence[Index], start: int | None) -> npt.NDArray[np.float32]:
    import torch

    longest = max(len(ids) for ids in written)
    real = np.arange(longest) < np.array([len(ids) for ids in written])[:, None]
    ids = np.zeros(real.shape, np.int64)
    ids[real] = np.concatenate(written)
    ids, real = (torch.from_numpy(array).to(model.device) for array in (ids, real))
    prompt, known = (torch.from_numpy(array).to(model.device) for array in (batch.ids, batch.real))
    if start is not None:
        begun = torch.cat([torch.full_like(ids[:, :1], start), ids[:, :-1]], dim=1)
        logits = model(input_ids=prompt, attention_mask=known, decoder_input_ids=begun, use_cache=False).logits
    else:
        # Prompts end in one column, so the texts begin in one.
        seen = torch.cat([prompt, ids[:, :-1]], dim=1)
        mask = torch.cat([known, real[:, :-1].long()], dim=1)
        kept = {"logits_to_keep": longest} if _keeps_last(model) else {}
        logits = model(input_ids=seen, attention_mask=mask, use_cache=False, **kept).logits[:, -longest:]
    found = logits.float().log_softmax(dim=-1).gather(2, ids[..., None]).squeeze(2)
    sums: npt.NDArray[np.float32] = found.where(real, 0.0).sum(dim=1).cpu().numpy()
    return sums


def _keeps_last(model: Any) -> bool:
    """Whether the model can leave out the logits of the prompt."""
    return "logits_to_keep" in inspect.signature(model.forward).parameters
