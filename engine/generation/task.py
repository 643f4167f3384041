"""What tasks share that write text: prompts to items, items to completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from engine.batching import Index
from engine.errors import RowError
from engine.generation.backend import Decoding, Prompt, Written
from engine.generation.backends import backend_of
from engine.generation.batch import Batch, Completion, padded
from engine.generation.beams import search
from engine.generation.params import GenerationParams
from engine.generation.prompt import prompts
from engine.generation.sampling import keys, uniforms
from engine.generation.settings import Settings, check_model, settings
from engine.generation.steps import write
from engine.generation.stopping import Stopping
from engine.models.folder import read_json
from engine.models.load import LoadedModel
from engine.options import Column
from engine.tasks.base import Encoded
from engine.tasks.limits import longest_input
from engine.tasks.params import parse_params
from engine.tasks.text import TextTask, encoded_rows
from engine.tasks.tokens import Tokens, texts_of, tokenize

#: Parameters that decide whether tokens are drawn.
_CHANCE: Final = ("do_sample", "temperature", "top_k", "top_p")


@dataclass(frozen=True)
class Prompts:
    """What ``forward`` and ``decode`` of a task that writes text read.

    Args:
        tokens: of the prompts, one sequence a row.
        params, settings, stopping: what all these rows share.
        fewest, most: int64 [items], tokens to write before the text may end, and at most.
        keys: of each item's random numbers; None where nothing is drawn.
        decoded: of each item what a backend is asked for; None where only transformers' own processors do it.
    """

    tokens: Tokens
    params: GenerationParams
    settings: Settings
    stopping: Stopping
    fewest: Index
    most: Index
    keys: Sequence[int] | None
    decoded: Sequence[Decoding] | None = None


class GenerationTask(TextTask):
    """A task whose row is a prompt, after which the model writes. ``Params`` is a ``GenerationParams``.

    An item is a prompt, or one of the ``n`` texts that are drawn after it. Rows that can't be written are no items.
    """

    Params = GenerationParams
    by_row = ("seed",)
    #: Side on which prompts are padded: a causal model writes on behind them.
    pads_left: ClassVar[bool]

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        check_model(self.model)

    @classmethod
    def draws(cls, params: Mapping[str, Any], bundle: Path) -> bool:
        if any(isinstance(params.get(name), Column) for name in _CHANCE):
            return True
        asked = parse_params(cls.name, params)
        if asked.samples is not None:
            return bool(asked.samples)
        own = read_json(bundle / "generation_config.json")
        return bool(own.get("do_sample")) and (asked.num_beams or own.get("num_beams") or 1) == 1

    def own(self, params: Any) -> Mapping[str, Any]:
        """What the model says for this task, over its generation configuration; ``prefix`` goes before every text."""
        return {}

    def forced(self, params: Any) -> Mapping[str, Any]:
        """What these parameters ask of the generation configuration beside what every task that writes text takes."""
        return {}

    def tokens(self, texts: Sequence[str], params: Any, limit: int | None) -> Tokens:
        """The tokens of prompts, at most ``limit`` of each."""
        return tokenize(self.tokenizer, texts, max_length=limit)

    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        own = dict(self.own(params))
        prefix = own.pop("prefix", None) or ""
        made = settings(self.model, params, own, self.forced(params))
        if self.loaded.backend == "vllm" and not made.together:
            raise RowError(
                "invalid_parameter",
                "expected greedy writing or sampling, by temperature, top_k, top_p, min_p and repetition_penalty, "
                "which is what vLLM does; beams and other processors need backend: transformers",
            )
        column = inputs[self.texts[0]]
        texts = prompts([str(text) for text in texts_of(column)], params.prompt_template, prefix)
        limit = longest_input(self.model, self.tokenizer, self.manifest.max_length, params.max_length)
        limit = min(filter(None, (limit, made.lengths.prompt)), default=None)
        encoded = encoded_rows(self.tokens(texts, params, limit), len(texts), params, limit)
        return self._items(encoded, texts, seeds(inputs.get("seed"), params, len(texts)), made)

    def _items(self, encoded: Encoded, texts: Sequence[str], seeds: Sequence[int | None], made: Settings) -> Encoded:
        """The rows that have no failure as items: each once, or as often as texts are drawn for it."""
        params, drawn = encoded.data.params, made.config.do_sample
        good = np.setdiff1d(np.arange(encoded.rows), np.fromiter(encoded.failures, np.int64, len(encoded.failures)))
        keyed = list(keys([texts[i] for i in good], [seeds[i] for i in good], params)) if drawn else None
        owner = np.repeat(good, params.n if drawn else 1)
        lengths = encoded.lengths[owner]
        most = made.lengths.most(lengths)
        stopping = Stopping(self.tokenizer, made.config.eos_token_id, made.stop)
        fewest = made.lengths.fewest(lengths)
        decoded = [decoding(made, stopping, *one) for one in zip(fewest, most, strict=True)] if made.together else None
        data = Prompts(encoded.data.tokens, params, made, stopping, fewest, most, keyed, decoded)
        if decoded is not None:  # a backend takes all of them at once
            cost = np.zeros(len(owner), np.int64)
        elif made.start is not None:
            cost = lengths + most * made.beams
        else:
            cost = (lengths + most) * made.beams
        cost = cost.astype(np.int64)
        written = np.zeros_like(owner)
        return Encoded(encoded.rows, lengths, owner, data, encoded.failures, cost, written=written)

    def forward(self, encoded: Encoded, items: Index) -> list[Any]:
        """For each item its completions, as a tuple; an array of NaN where the model gave NaN or Inf, or a RowError."""
        data: Prompts = encoded.data
        found = self._batch(encoded, items) if data.decoded is None else self._together(encoded, items, data.decoded)
        assert encoded.written is not None
        encoded.written[items] = [sum(len(text.ids) for text in one) if isinstance(one, tuple) else 0 for one in found]
        return found

    def _batch(self, encoded: Encoded, items: Index) -> list[Any]:
        """The same by steps of the whole micro-batch."""
        data: Prompts = encoded.data
        ids, real = padded(data.tokens, encoded.owner[items], self.tokenizer.pad_token_id, left=self.pads_left)
        most, drawn = data.most[items], None
        if data.keys is not None:
            drawn = uniforms([data.keys[item] for item in items], int(most.max(initial=0)))
        batch = Batch(ids, real, data.fewest[items], most, drawn)
        if data.settings.beams > 1:
            found: Sequence[Any] = search(self.model, batch, data.settings, data.stopping)
        else:
            written = write(self.model, batch, data.settings, data.stopping)
            found = [None if one is None else (one,) for one in written]
        return [np.full(1, np.nan) if one is None else one for one in found]

    def _together(self, encoded: Encoded, items: Index, decoded: Sequence[Decoding]) -> list[Any]:
        """The same by the model's backend."""
        data: Prompts = encoded.data
        keys = [0] * len(decoded) if data.keys is None else data.keys
        sequences, ids = encoded.owner, data.tokens.ids
        prompts = [
            Prompt(item, ids[data.tokens.of(sequences[item])], decoded[item], keys[item]) for item in items.tolist()
        ]
        found: dict[int, Any] = {}
        for result in backend_of(self.loaded).generate(prompts):
            if isinstance(result, Written):
                found[result.id] = (Completion(result.ids, result.finish_reason, result.logprob),)
            else:
                found[result[0]] = result[1]
        return [found[item] for item in items.tolist()]


def decoding(made: Settings, stopping: Stopping, fewest: int, most: int) -> Decoding:
    """What these settings ask of a backend, for a text of so many tokens."""
    config = made.config
    drawn: dict[str, Any] = {}
    if config.do_sample:
        drawn = {
            "temperature": float(config.temperature),
            "top_k": int(config.top_k or 0),
            "top_p": 1.0 if config.top_p is None else float(config.top_p),
            "min_p": float(config.min_p or 0.0),
        }
    return Decoding(
        max_tokens=int(most),
        min_tokens=int(fewest),
        repetition_penalty=float(config.repetition_penalty),
        ends=tuple(stopping.ends.tolist()),
        stop=stopping.strings,
        **drawn,
    )


def seeds(column: pa.Array | None, params: Any, rows: int) -> list[int | None]:
    """The seed of each row: of its column, where there is one that is not null in it, else the parameters'."""
    if column is None:
        return [params.seed] * rows
    if not (pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        raise RowError("invalid_parameter", f"expected whole numbers in the column of seed, it holds {column.type}")
    return [params.seed if seed is None else seed for seed in column.to_pylist()]


def grouped(completions: Sequence[tuple[Completion, ...]], rows: int) -> list[list[Completion]]:
    """The completions of each row, of those of its items, which are equally many for all rows."""
    flat = [completion for item in completions for completion in item]
    each = len(flat) // max(1, rows)
    return [flat[at * each : (at + 1) * each] for at in range(rows)]


def choices(stopping: Stopping, groups: Sequence[Sequence[Completion]], type_: pa.DataType, first: int = 0) -> pa.Array:
    """A list column of the schema's choices, one list for each group; indices count from ``first``."""
    flat = [completion for group in groups for completion in group]
    texts = [stopping.cut(text) for text in stopping.texts([completion.ids for completion in flat])] if flat else []
    struct = type_.value_type
    columns = [
        pa.array([first + at for group in groups for at in range(len(group))], struct.field("index").type),
        pa.array(texts, struct.field("text").type),
        pa.array([completion.finish_reason for completion in flat], struct.field("finish_reason").type),
        pa.array([completion.logprob for completion in flat], struct.field("logprob").type),
    ]
    offsets = pa.array(np.concatenate([[0], np.cumsum([len(group) for group in groups])]), pa.int32())
    pairs = pa.StructArray.from_arrays(columns, fields=list(struct.fields))
    return pa.ListArray.from_arrays(offsets, pairs, type=type_)
