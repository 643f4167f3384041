"""fill-mask: what a masked language model puts in the place of each mask of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Failures, Index
from engine.errors import ModelError, ParameterError, RowError
from engine.models.load import LoadedModel
from engine.models.some_tokens import logits_of, pick_before_projection
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.text import Sequences, TextParams, TextTask, at_least
from engine.tasks.tokens import Tokens, first_token, texts_of, tokenize

_NO_MASK: Final = "expected a text with a mask, {} for this model; there is none"
_BEHIND: Final = "expected every mask among the first {} tokens, one lies behind them: cut the text or raise max_length"
_NO_TARGET: Final = "expected targets with a token of the model's vocabulary among them: none of these makes one"


@dataclass(frozen=True, kw_only=True)
class FillMaskParams(TextParams):
    """Parameters of fill-mask.

    Args:
        top_k: how many tokens each mask gets, best first.
        targets: the only tokens to choose from, their scores still shares of the whole vocabulary; of a word that is
            no token of the model the first token is taken; none given means all.
    """

    top_k: int = 5
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "top_k")
        if self.targets and not any(self.targets):
            raise ParameterError("expected targets to hold words, got only empty ones")


@dataclass(frozen=True)
class Masked(Sequences):
    """Sequences, how many masks each has (int64 [items]), and the token ids to choose from; None for all."""

    masks: Index
    targets: Index | None


class FillMask(TextTask):
    """The best tokens for each mask of a text, with their probabilities, float32."""

    name = "fill-mask"
    Params = FillMaskParams
    auto_class = "AutoModelForMaskedLM"
    architecture = ("ForMaskedLM", "ForPreTraining", "WithLMHeadModel", "ForConditionalGeneration")
    window_bytes = 1 << 20  # each mask gives its text again top_k times

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        if self.tokenizer.mask_token_id is None:
            raise ModelError(
                "expected a tokenizer with a mask token for fill-mask, this one has none: log the one of its training"
            )
        pick_before_projection(self.model)

    def encode(self, inputs: Mapping[str, pa.Array], params: FillMaskParams) -> Encoded:
        texts = texts_of(inputs["text"])
        encoded = self.encode_texts(texts, None, params)
        tokens = encoded.data.tokens
        masks, targets = self._masks(tokens), self._targets(params.targets)
        failures = self._without_answer(texts, tokens, masks)
        failures |= {row: error for row, error in encoded.failures.items() if error.code == "too_long"}
        if targets is not None and not targets.size:
            failures = dict.fromkeys(range(len(texts)), RowError("invalid_parameter", _NO_TARGET))
        data = Masked(tokens, params, masks, targets)
        return Encoded(encoded.rows, encoded.lengths, encoded.owner, data, failures)

    def forward(self, encoded: Encoded, items: Index) -> list[npt.NDArray[np.float32]]:
        """For each item float32 [2, masks, top_k]: token ids (exact below 2^24) and their scores."""
        import torch

        inputs = self.model_inputs(encoded, items)
        wanted = (inputs["input_ids"] == self.tokenizer.mask_token_id).nonzero(as_tuple=True)
        shares = logits_of(self.loaded, inputs, wanted).float().softmax(dim=-1)
        targets = encoded.data.targets
        chosen = None if targets is None else torch.from_numpy(targets).to(self.device)
        if chosen is not None:
            shares = shares[:, chosen]
        scores, at = shares.topk(min(encoded.data.params.top_k, shares.shape[1]))
        ids = at if chosen is None else chosen[at]
        best = torch.stack([ids.float(), scores]).cpu().numpy()
        return np.split(best, np.cumsum(encoded.data.masks[items])[:-1], axis=1)

    def decode(
        self, encoded: Encoded, rows: Index, outputs: list[npt.NDArray[np.float32]], params: FillMaskParams
    ) -> pa.StructArray:
        fields = schema_of(self.name).fields
        best = np.concatenate(outputs, axis=1)
        ids, scores = best[0].astype(np.int64), best[1]
        sequences = [
            sequence
            for row, output in zip(rows.tolist(), outputs, strict=True)
            for sequence in self._filled(encoded.data.tokens, row, output[0].astype(np.int64))
        ]
        filled = pa.StructArray.from_arrays(
            [self._names(ids.ravel()), pa.array(scores.ravel(), pa.float32()), pa.array(sequences, pa.string())],
            fields=list(fields[0].type.value_type.value_type.fields),
        )
        by_mask = pa.ListArray.from_arrays(
            _offsets(np.full(ids.shape[0], ids.shape[1])), filled, type=fields[0].type.value_type
        )
        masks = pa.ListArray.from_arrays(_offsets(encoded.data.masks[rows]), by_mask, type=fields[0].type)
        return pa.StructArray.from_arrays([masks, *self.token_columns(encoded, rows)], fields=list(fields))

    def _masks(self, tokens: Tokens) -> Index:
        """int64 [sequences]: how many masks each has."""
        before = np.concatenate([[0], np.cumsum(tokens.ids == self.tokenizer.mask_token_id)])
        return np.asarray(before[tokens.offsets[1:]] - before[tokens.offsets[:-1]])

    def _without_answer(self, texts: Sequence[Any], tokens: Tokens, masks: Index) -> Failures:
        """Texts without a mask, and those that lost one where they were cut."""
        cut = np.flatnonzero(tokens.truncated)
        whole = masks.copy()
        if cut.size:
            whole[cut] = self._masks(tokenize(self.tokenizer, [texts[i] for i in cut.tolist()], max_length=None))
        none = RowError("no_mask", _NO_MASK.format(self.tokenizer.mask_token))
        found = dict.fromkeys(np.flatnonzero(whole == 0).tolist(), none)
        for row in np.flatnonzero(whole > masks).tolist():
            found[row] = RowError("too_long", _BEHIND.format(tokens.lengths[row]))
        return found

    def _targets(self, targets: tuple[str, ...]) -> Index | None:
        """Token ids of the targets, each once; None where all tokens may be chosen."""
        if not targets:
            return None
        known = self._vocabulary
        ids = [known[one] if one in known else first_token(self.tokenizer, one) for one in targets]
        return np.array(sorted({one for one in ids if one is not None}), np.int64)

    @cached_property
    def _vocabulary(self) -> Mapping[str, int]:
        vocabulary: dict[str, int] = self.tokenizer.get_vocab()
        return vocabulary

    def _names(self, ids: Index) -> pa.Array:
        """Each token as transformers' pipeline writes it."""
        distinct, at = np.unique(ids, return_inverse=True)
        names = self.tokenizer.batch_decode(distinct[:, None].tolist())
        return pa.array(names, pa.string()).take(pa.array(at.reshape(-1)))

    def _filled(self, tokens: Tokens, row: int, ids: Index) -> list[str]:
        """The row's text with each of ids [masks, top_k] in its mask's place, as transformers' pipeline writes it."""
        whole = tokens.ids[tokens.of(row)]
        places = np.flatnonzero(whole == self.tokenizer.mask_token_id)
        filled = np.tile(whole, (ids.size, 1))
        filled[np.arange(ids.size), np.repeat(places, ids.shape[1])] = ids.ravel()
        kept = [one[one != self.tokenizer.pad_token_id].tolist() for one in filled]
        # Other masks are special tokens as well: where there are some, all special tokens stay.
        sequences: list[str] = self.tokenizer.batch_decode(kept, skip_special_tokens=places.size == 1)
        return sequences


def _offsets(counts: Index) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
