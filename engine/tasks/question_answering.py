"""question-answering: the part of a context that answers a question."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.batching import Failures, Index
from engine.errors import RowError
from engine.models.load import LoadedModel
from engine.schema import schema_of
from engine.tasks.answers import Answer, Read, answers
from engine.tasks.base import Encoded
from engine.tasks.context_windows import context_of, context_windows, some
from engine.tasks.limits import longest_input
from engine.tasks.text import TextTask, at_least
from engine.tasks.tokens import Tokens, texts_of, tokenize

#: Tokens of a window and tokens that neighbours share, where nothing else is asked: transformers 4 had these.
_WINDOW: Final = 384
_SHARED: Final = 128
_EMPTY: Final = RowError("encode_failed", "expected a question, got an empty text: leave out rows without one")


@dataclass(frozen=True, kw_only=True)
class QuestionAnsweringParams:
    """Parameters of question-answering; the defaults are those that transformers 4 had.

    Args:
        top_k: how many answers ``answers`` keeps, best first; fewer where the context has fewer.
        max_length: tokens of a window at most, question and special tokens counted; null takes 384, or what the model
            allows where that is less. A longer context is read in windows and never cut.
        doc_stride: tokens of the context that neighbouring windows share; null takes 128, or half of a window where
            that is less.
        max_answer_length: tokens of an answer at most.
        impossible_answers: whether "no answer" may be the answer.
        max_question_length: tokens of a question at most, a longer one is an error of its row (too_long); null takes
            any that leaves room for its context.
        align_to_words: whether an answer that begins or ends within a word is stretched to the whole word.
    """

    top_k: int = 1
    max_length: int | None = None
    doc_stride: int | None = None
    max_answer_length: int = 15
    impossible_answers: bool = False
    max_question_length: int | None = None
    align_to_words: bool = True

    def __post_init__(self) -> None:
        at_least(self, 1, "top_k", "max_length", "max_answer_length", "max_question_length")
        at_least(self, 0, "doc_stride")


@dataclass(frozen=True)
class Windows:
    """What ``forward`` and ``decode`` read: the windows' tokens with their places, and the rows' contexts."""

    tokens: Tokens
    contexts: Sequence[str]


class QuestionAnswering(TextTask):
    """Answers from the logits of a span head, float32 [tokens, 2] a window."""

    name = "question-answering"
    Params = QuestionAnsweringParams
    auto_class = "AutoModelForQuestionAnswering"
    architecture = ("ForQuestionAnswering", "ForQuestionAnsweringSimple")
    texts = ("question", "context")

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        #: Tokenizers that pad on the left put the context first: their models were trained so.
        self.context_side = int(self.tokenizer.padding_side == "right")
        #: The token that models say "no answer" with; -1 where the tokenizer has none, and no answer scores 0.
        self.none = -1 if self.tokenizer.cls_token_id is None else int(self.tokenizer.cls_token_id)
        cached = "use_cache" in inspect.signature(self.model.forward).parameters
        self.options = {"use_cache": False} if cached else {}

    def encode(self, inputs: Mapping[str, pa.Array], params: QuestionAnsweringParams) -> Encoded:
        questions, contexts = ([text or "" for text in texts_of(inputs[role])] for role in self.texts)
        limit = longest_input(self.model, self.tokenizer, self.manifest.max_length, params.max_length or _WINDOW)
        assert limit is not None
        stride = min(limit // 2, _SHARED) if params.doc_stride is None else params.doc_stride
        pair = (questions, contexts) if self.context_side else (contexts, questions)
        whole = tokenize(self.tokenizer, *pair, max_length=None, spans=True)
        windows = context_windows(whole, self.context_side, limit=limit, stride=stride)
        asked = context_of(self._side(whole) == 1 - self.context_side, whole.offsets)[1]
        failures = _failures(np.setdiff1d(whole.owner, windows.owner), _no_room(limit, stride))
        if params.max_question_length is not None:
            failures |= _failures(np.flatnonzero(asked > params.max_question_length), _long(params.max_question_length))
        failures |= _failures(np.flatnonzero([not question for question in questions]), _EMPTY)
        return Encoded(len(questions), windows.lengths, windows.owner, Windows(windows, contexts), failures)

    @staticmethod
    def _side(tokens: Tokens) -> npt.NDArray[np.int8]:
        assert tokens.spans is not None
        return tokens.spans.side

    def forward(self, encoded: Encoded, items: Index) -> list[npt.NDArray[np.float32]]:
        """Logits of start and end, float32 [tokens, 2] for each item, without its padding."""
        import torch

        output = self.loaded(**self.model_inputs(encoded, items), **self.options)
        logits = torch.stack([output.start_logits, output.end_logits], dim=-1).float().cpu().numpy()
        return [one[:length] for one, length in zip(logits, encoded.lengths[items].tolist(), strict=True)]

    def decode(
        self, encoded: Encoded, rows: Index, outputs: list[npt.NDArray[np.float32]], params: QuestionAnsweringParams
    ) -> pa.StructArray:
        windows: Windows = encoded.data
        tokens = some(windows.tokens, np.flatnonzero(np.isin(encoded.owner, rows)))
        inside, none = self._side(tokens) == self.context_side, np.equal(tokens.ids, self.none)
        contexts = [windows.contexts[row] for row in rows.tolist()]
        found = answers(Read(tokens, np.concatenate(outputs), inside, none), contexts, params)
        fields = list(schema_of(self.name).fields)
        columns = [*_columns(found, fields[4].type), self.token_columns(encoded, rows)[0]]
        return pa.StructArray.from_arrays(columns, fields=fields)


def _failures(rows: Index, error: RowError) -> Failures:
    return dict.fromkeys(rows.tolist(), error)


def _no_room(limit: int, stride: int) -> RowError:
    return RowError(
        "too_long",
        f"expected a question that leaves room for more than {stride} tokens of its context in a window of {limit}: "
        "shorten it, or change max_length or doc_stride",
    )


def _long(limit: int) -> RowError:
    return RowError("too_long", f"expected a question of at most {limit} tokens, got more: shorten it")


def _columns(found: list[list[Answer]], type_: pa.DataType) -> list[pa.Array]:
    """The columns of each row's best answer, and all its answers as a list of this type."""
    best = _structs([one[0] for one in found], type_.value_type)
    every = _structs([*chain.from_iterable(found)], type_.value_type)
    offsets = pa.array([0, *accumulate(len(one) for one in found)], pa.int32())
    return [*best.flatten(), pa.ListArray.from_arrays(offsets, every, type=type_)]


def _structs(some: list[Answer], type_: pa.DataType) -> pa.StructArray:
    columns = zip(zip(*some, strict=True), type_.fields, strict=True)
    return pa.StructArray.from_arrays([pa.array(c, field.type) for c, field in columns], fields=list(type_.fields))
