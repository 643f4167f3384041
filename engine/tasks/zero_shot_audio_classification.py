"""zero-shot-audio-classification: labels given with the rows, scored by a model of sounds and texts (CLAP)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Index, micro_batches
from engine.distinct import combined_codes
from engine.errors import RowError
from engine.models.load import LoadedModel
from engine.schema import schema_of
from engine.tasks.audio import Recordings
from engine.tasks.base import Encoded
from engine.tasks.candidates import Candidates, check_template, for_all, of_column, ranked, without_labels
from engine.tasks.limits import longest_input
from engine.tasks.tokens import Tokens, collate, texts_of, tokenize
from engine.tasks.whole_audio import Answer, WholeAudioParams, WholeAudioTask

#: Tokens of labels that go through the model at once.
_BATCH_TOKENS: Final = 4096
#: Labels whose embeddings are kept from window to window: some megabytes.
_KEPT: Final = 4096


@dataclass(frozen=True, kw_only=True)
class ZeroShotAudioClassificationParams(WholeAudioParams):
    """Parameters of zero-shot-audio-classification.

    Args:
        candidate_labels: the labels to choose from; a column holds lists of them, or strings with commas between them.
        hypothesis_template: the sentence that the model weighs against the sound, with one {} where the label goes.
    """

    candidate_labels: tuple[str, ...] = ()
    hypothesis_template: str = "This is a sound of {}."

    def __post_init__(self) -> None:
        super().__post_init__()
        check_template(self.hypothesis_template)


@dataclass(frozen=True)
class Labelled(Recordings):
    """What ``forward`` and ``decode`` read.

    Args:
        recording: int64 [rows], equal where rows differ in their labels only.
        labels: of every row.
        hypotheses: the sentence of each name in ``labels``; tokens: of each.
    """

    recording: Index
    labels: Candidates
    hypotheses: Sequence[str]
    tokens: Tokens


class ZeroShotAudioClassification(WholeAudioTask):
    """Scores of the candidate labels, float32, best first: how near each label's sentence comes to the sound.

    A recording that has several rows is heard once, a label that many rows share is read once.
    """

    name = "zero-shot-audio-classification"
    Params = ZeroShotAudioClassificationParams
    auto_class = "AutoModel"
    architecture = "ClapModel"
    needs = ("tokenizer", "features")
    required = ("candidate_labels",)
    by_row = ("candidate_labels",)

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        #: Hypothesis → its embedding, float32 [dimensions].
        self.known: dict[str, npt.NDArray[np.float32]] = {}

    def encode(self, inputs: Mapping[str, pa.Array], params: ZeroShotAudioClassificationParams) -> Encoded:
        encoded = super().encode(inputs, params)
        column, known = inputs.get("candidate_labels"), params.candidate_labels
        labels = for_all(known, encoded.rows) if column is None else of_column(column, known)
        hypotheses = [params.hypothesis_template.format(name) for name in texts_of(labels.names)]
        tokens = tokenize(self.tokenizer, hypotheses, max_length=None)
        encoded.data = Labelled(encoded.data.rows, params, _recordings(inputs), labels, hypotheses, tokens)
        encoded.failures = {**without_labels(labels, encoded.rows), **self._too_long(encoded.data), **encoded.failures}
        return encoded

    def forward(self, encoded: Encoded, items: Index) -> Sequence[Answer | RowError]:
        """Of each row the logits of its labels."""
        data: Labelled = encoded.data
        _, first, inverse = np.unique(data.recording[items], return_index=True, return_inverse=True)
        heard = super().forward(encoded, items[first])
        texts = self._read(data, np.unique(data.labels.name[np.isin(data.labels.row, items)]))
        scale = float(self.model.logit_scale_a.detach().float().exp())
        starts = np.searchsorted(data.labels.row, items)
        ends = np.searchsorted(data.labels.row, items, side="right")
        answers: list[Answer | RowError] = []
        for start, end, which in zip(starts, ends, inverse.reshape(-1).tolist(), strict=True):
            sound = heard[which]
            if isinstance(sound, Answer):
                near = np.stack([texts[name] for name in data.labels.name[start:end].tolist()]) @ sound.values
                sound = sound._replace(values=near * np.float32(scale))
            answers.append(sound)
        return answers

    def compute(self, inputs: Mapping[str, Any]) -> Any:
        """Embeddings of sounds, of length 1."""
        import torch

        with torch.inference_mode():
            return self.model.get_audio_features(**inputs).pooler_output

    def decode(
        self, encoded: Encoded, rows: Index, outputs: Sequence[Answer], params: ZeroShotAudioClassificationParams
    ) -> pa.StructArray:
        labels: Candidates = encoded.data.labels
        names = labels.names.take(pa.array(labels.name[np.isin(labels.row, rows)]))
        counts = np.array([one.values.size for one in outputs])
        scores = np.concatenate([_softmax(one.values) for one in outputs])
        columns = ranked(names, counts, scores, schema_of(self.name).fields[2].type, later_first=False)
        columns += self.heard_columns(outputs)
        return pa.StructArray.from_arrays(columns, fields=list(schema_of(self.name).fields))

    def _read(self, data: Labelled, names: Index) -> dict[int, npt.NDArray[np.float32]]:
        """The embeddings of these labels, of length 1; those of sentences that were read before are known."""
        import torch

        if len(self.known) > _KEPT:
            self.known.clear()
        new = np.array([name for name in names.tolist() if data.hypotheses[name] not in self.known], np.int64)
        for batch in micro_batches(data.tokens.lengths[new], _BATCH_TOKENS):
            inputs = collate(data.tokens, new[batch], self.tokenizer, self.device)
            with torch.inference_mode():
                embeddings = self.model.get_text_features(**inputs).pooler_output.float().cpu().numpy()
            self.known |= zip([data.hypotheses[name] for name in new[batch].tolist()], embeddings, strict=True)
        return {name: self.known[data.hypotheses[name]] for name in names.tolist()}

    def _too_long(self, data: Labelled) -> dict[int, RowError]:
        """Rows with a label whose sentence is longer than the model takes: cutting it might cut the label."""
        limit = longest_input(self.model, self.tokenizer, self.manifest.max_length, None)
        if limit is None:
            return {}
        words = f"expected a hypothesis of at most {limit} tokens: shorten the label or the template"
        rows = data.labels.row[data.tokens.lengths[data.labels.name] > limit]
        return dict.fromkeys(np.unique(rows).tolist(), RowError("too_long", words))


def _recordings(inputs: Mapping[str, pa.Array]) -> Index:
    """int64 [rows]: equal where the recordings are. Without labels of their own, rows differ already."""
    if "candidate_labels" not in inputs:
        return np.arange(len(inputs["audio"]))
    heard = {role: column for role, column in inputs.items() if role != "candidate_labels"}
    return combined_codes(pa.record_batch(heard), list(heard))


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    exps = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(exps / exps.sum(), np.float32)
