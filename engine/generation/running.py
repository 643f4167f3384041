"""The rows of a micro-batch that are still being written: their tokens, masks and cache, row for row, on the device."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from engine.batching import Index
from engine.generation.batch import Batch


class Running:
    """Rows that grow by a token a step, and leave when they are finished. Runs on the device.

    Attributes:
        rows: int64 [rows], which of the batch's rows are still here.
        ids, real: int64 [rows, width + step], what the decoder has seen, and 1 on tokens, 0 on padding.
        source: int64 [rows, longest], the encoder's tokens, None for a causal model; source_real: 1 on tokens.
        fewest, uniform: the batch's, on the device.
        most: the batch's; written: int64 [rows, max(most)], the tokens written so far; both on the CPU.
        logprob: float32 [rows], of the tokens written so far under the model.
        finished: bool [rows], rows that wait to leave; on the CPU.
        width: tokens of the longest prompt, or the one start token.
        step: tokens written so far.
    """

    def __init__(self, model: Any, batch: Batch, start: int | None) -> None:
        """``start`` is the token a sequence-to-sequence model's decoder starts with; None for a causal model."""
        import torch

        self.model = model
        self.rows = np.arange(len(batch))
        self.most = batch.most
        self.written = np.zeros((len(batch), int(batch.most.max(initial=0))), np.int64)
        self.step = 0
        self.source: Any = None
        self.source_real: Any = None
        self.encoded: Any = None
        self.ids, self.real = self._tensor(batch.ids), self._tensor(batch.real)
        self.fewest = self._tensor(batch.fewest)
        self.uniform = None if batch.uniform is None else self._tensor(batch.uniform)
        if start is not None:
            self.source, self.source_real = self.ids, self.real
            self.encoded = model.get_encoder()(input_ids=self.ids, attention_mask=self.real, return_dict=True)
            self.ids = self.ids.new_full((len(batch), 1), start)
            self.real = torch.ones_like(self.ids)
        self.logprob = torch.zeros(len(batch), device=model.device)
        self.finished = np.zeros(len(batch), bool)
        self.width = int(self.ids.shape[1])
        self.cache = cache_of(model)
        self.takes = inspect.signature(model.forward).parameters

    def __len__(self) -> int:
        return int(self.rows.size)

    def logits(self) -> Any:
        """float32 [rows, vocabulary], of the next token; what the model has seen before is in its cache."""
        asked: dict[str, Any] = {"past_key_values": self.cache, "use_cache": True, "return_dict": True}
        ids = self.ids if self.step == 0 else self.ids[:, -1:]
        if self.encoded is not None:
            asked |= {"decoder_input_ids": ids, "encoder_outputs": self.encoded, "attention_mask": self.source_real}
        else:
            asked |= {"input_ids": ids, "attention_mask": self.real}
            if "position_ids" in self.takes:
                asked["position_ids"] = (self.real.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        if "logits_to_keep" in self.takes:
            asked["logits_to_keep"] = 1
        return self.model(**asked).logits[:, -1].float()

    def append(self, tokens: Any, logits: Any) -> Index:
        """Adds a token, int64 [rows], to each row; the same on the CPU. A token of -1 is none: its row has to leave."""
        import torch

        known = tokens.clamp(min=0)[:, None]
        self.logprob += logits.log_softmax(dim=-1).gather(1, known).squeeze(1)
        self.ids = torch.cat([self.ids, known], dim=1)
        self.real = torch.cat([self.real, torch.ones_like(known)], dim=1)
        found: Index = tokens.cpu().numpy()
        self.written[:, self.step] = np.maximum(found, 0)
        self.step += 1
        return found

    def keep(self, at: Index) -> None:
        """Keeps these of the rows; the others leave tokens, masks and cache."""
        self.rows, self.most, self.written = self.rows[at], self.most[at], self.written[at]
        self.finished = self.finished[at]
        if not at.size:
            return
        chosen = self._tensor(at)
        self.ids, self.real = self.ids[chosen], self.real[chosen]
        self.fewest, self.logprob = self.fewest[chosen], self.logprob[chosen]
        self.cache.reorder_cache(chosen)
        if self.uniform is not None:
            self.uniform = self.uniform[chosen]
        if self.encoded is not None:
            self.source, self.source_real = self.source[chosen], self.source_real[chosen]
            self.encoded.last_hidden_state = self.encoded.last_hidden_state[chosen]

    def _tensor(self, array: Any) -> Any:
        import torch

        return torch.from_numpy(np.ascontiguousarray(array)).to(self.model.device)


def keeps_keys_and_values(model: Any) -> bool:
    """Whether the model's cache is one of keys and values, whose rows and padding are known apart.

    A recurrent layer's state is not: padding on the left goes through it as if it were text.
    """
    if "past_key_values" not in inspect.signature(model.forward).parameters:
        return False
    return bool(model._supports_default_dynamic_cache()) and not any(getattr(cache_of(model), "is_linear", ()))


def cache_of(model: Any) -> Any:
    """An empty cache for the layers of this model."""
    from transformers import DynamicCache, EncoderDecoderCache

    config = model.config.get_text_config(decoder=True)
    if not model.config.is_encoder_decoder:
        return DynamicCache(config=config)
    return EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))
