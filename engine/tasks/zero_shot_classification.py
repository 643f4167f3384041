"""zero-shot-classification: labels given with the rows, scored by a model of natural language inference."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Failures, Index
from engine.errors import RowError, UnsupportedTaskError
from engine.models.first_token import first_token_only
from engine.models.load import LoadedModel
from engine.models.manifest import Manifest
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.candidates import check_template, for_all, of_column, ranked, without_labels
from engine.tasks.limits import longest_input
from engine.tasks.pairs import Pairs, pair_up
from engine.tasks.text import TextParams, TextTask, encoded_rows
from engine.tasks.text_classification import apply_function
from engine.tasks.tokens import collate, texts_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ZeroShotClassificationParams(TextParams):
    """Parameters of zero-shot-classification.

    Args:
        candidate_labels: the labels to choose from; a column holds lists of them, or strings with commas between them.
        hypothesis_template: the sentence that the model weighs against the text, with one {} where the label goes.
        multi_label: whether several labels may hold at once: each is scored for itself, against its contradiction;
            else the scores of a row sum to 1.
    """

    candidate_labels: tuple[str, ...] = ()
    hypothesis_template: str = "This example is {}."
    multi_label: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_template(self.hypothesis_template)


@dataclass(frozen=True)
class Hypotheses:
    """What ``forward`` and ``decode`` read: a pair of text and hypothesis for every label of every row.

    Args:
        tokens: the pairs.
        names: string [names], labels; name: int64 [pairs], the label of each pair.
    """

    tokens: Pairs
    names: pa.Array
    name: Index


class ZeroShotClassification(TextTask):
    """Scores of the candidate labels, float32, best first: how far the text entails each label's hypothesis."""

    name = "zero-shot-classification"
    Params = ZeroShotClassificationParams
    auto_class = "AutoModelForSequenceClassification"
    architecture = "ForSequenceClassification"
    required = ("candidate_labels",)
    by_row = ("candidate_labels",)
    cut = "only_first"  # a hypothesis that lost its label would say nothing

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        first_token_only(self.model)
        self.entailment, self.contradiction = _places(self.model.config)

    @classmethod
    def check(cls, params: ZeroShotClassificationParams, manifest: Manifest) -> None:
        super().check(params, manifest)
        if manifest.labels == 1:
            raise UnsupportedTaskError(
                f"expected a model of natural language inference for {cls.name} (entailment, contradiction), "
                "this one has a single output: give the task it was trained for"
            )

    def encode(self, inputs: Mapping[str, pa.Array], params: ZeroShotClassificationParams) -> Encoded:
        texts: list[Any] = texts_of(inputs["text"])
        column = inputs.get("candidate_labels")
        known = params.candidate_labels
        labels = for_all(known, len(texts)) if column is None else of_column(column, known)
        hypotheses = [params.hypothesis_template.format(name) for name in texts_of(labels.names)]
        limit = longest_input(self.model, self.tokenizer, self.manifest.max_length, params.max_length)
        pairs = pair_up(self.tokenizer, texts, hypotheses, labels.row, labels.name, max_length=limit)
        failures = encoded_rows(pairs, len(texts), params, limit).failures
        failures |= without_labels(labels, len(texts)) | _without_room(pairs, limit)
        good = ~np.isin(pairs.owner, list(failures))
        kept = pairs.only(good)
        data = Hypotheses(kept, labels.names, labels.name[good])
        return Encoded(len(texts), kept.lengths, kept.owner, data, failures)

    def forward(self, encoded: Encoded, items: Index) -> npt.NDArray[np.float32]:
        """Logits of contradiction and entailment, float32 [items, 2]."""
        tokens = encoded.data.tokens.laid_out(items)
        logits = self.loaded(**collate(tokens, np.arange(items.size), self.tokenizer, self.device)).logits
        read: npt.NDArray[np.float32] = logits[:, [self.contradiction, self.entailment]].float().cpu().numpy()
        return read

    def decode(
        self,
        encoded: Encoded,
        rows: Index,
        outputs: npt.NDArray[np.float32],
        params: ZeroShotClassificationParams,
    ) -> pa.StructArray:
        schema, data = schema_of(self.name), encoded.data
        items = np.flatnonzero(np.isin(encoded.owner, rows))
        counts = np.bincount(encoded.owner, minlength=encoded.rows)[rows]
        scores = label_scores(outputs, counts, params.multi_label)
        names = data.names.take(pa.array(data.name[items]))
        # Ties as the pipeline has them, which turns an ascending order round: the later label first.
        columns = ranked(names, counts, scores, schema.fields[2].type, later_first=True)
        columns += self.token_columns(encoded, rows)
        return pa.StructArray.from_arrays(columns, fields=list(schema.fields))


def label_scores(logits: npt.NDArray[np.float32], counts: Index, multi_label: bool) -> npt.NDArray[np.float32]:
    """Logits of contradiction and entailment [labels of all rows, 2] → float32 [labels of all rows].

    Softmax of entailment over the labels of a row, of which there are ``counts`` [rows]; for several labels at once,
    and for a row's only label, softmax of entailment against contradiction.
    """
    contradiction, entailment = logits.astype(np.float64).T
    alone = apply_function(entailment - contradiction, "sigmoid")
    if multi_label:
        return alone
    starts, row = np.cumsum(counts) - counts, np.repeat(np.arange(counts.size), counts)
    exps = np.exp(entailment - np.maximum.reduceat(entailment, starts)[row])
    shared = exps / np.add.reduceat(exps, starts)[row]
    return np.where(counts[row] == 1, alone, shared).astype(np.float32)


def _places(config: Any) -> tuple[int, int]:
    """Where the logits of entailment and contradiction stand, as transformers' pipeline finds them."""
    found = (place for label, place in config.label2id.items() if label.lower().startswith("entail"))
    entailment = next(found, None)
    if entailment is None:
        log.warning("no label of the model starts with entail: the last one is taken for entailment")
        entailment = -1
    return entailment, -1 if entailment == 0 else 0


def _without_room(pairs: Pairs, limit: int | None) -> Failures:
    """Rows with a hypothesis so long that none of the text would be left: cutting it would cut the label."""
    if limit is None:
        return {}
    words = f"expected a hypothesis that leaves room for the text in {limit} tokens: shorten the label or the template"
    return dict.fromkeys(np.unique(pairs.owner[pairs.lengths > limit]).tolist(), RowError("too_long", words))
