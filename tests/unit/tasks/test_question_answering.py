"""question-answering against the algorithm of transformers 4's pipeline, written out plainly, one row at a time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

import pytest

from engine.errors import ParameterError
from engine.scorer import Scorer
from tests import scoring, tiny
from tests.conformance.base import assert_same

ARCHITECTURES: Final = ("bert", "roberta", "deberta-v2")
#: Words with pieces, so that answers begin and end within words; repeated, so that equal texts are met again.
VOCABULARY: Final = [
    *tiny.WORDS,
    "waterfall",
    "Sounds",
    "callers",
    "WATER",
    "can't",
    "1984.",
    "שלום",
    "café",
    "東京都",
    "😀",
]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp(request.param), request.param, head="QuestionAnswering")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("bert"), head="QuestionAnswering")


def text(words: int, seed: int) -> str:
    return " ".join(random.Random(seed).choices(VOCABULARY, k=words))


def rows(folder: Path, questions: list[str], contexts: list[str], **params: Any) -> list[Any]:
    return scoring.rows(scorer(folder, **params), question=questions, context=contexts)


def scorer(folder: Path, **params: Any) -> Scorer:
    return scoring.scorer(folder, params=params, inputs=("question", "context"), batch_tokens=512)


class Plain:
    """The model, its tokenizer's own windows, and every pair of tokens of a window, as transformers 4 had it."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForQuestionAnswering, AutoTokenizer

        self.model = AutoModelForQuestionAnswering.from_pretrained(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def __call__(self, question: str, context: str, **params: Any) -> list[dict[str, Any]]:
        top_k, impossible = params.get("top_k", 1), params.get("impossible_answers", False)
        align = params.get("align_to_words", True)
        limit = params.get("max_length", min(self.tokenizer.model_max_length, 384))
        encoded = self.tokenizer(
            question,
            context,
            truncation="only_second",
            max_length=limit,
            stride=params.get("doc_stride", min(limit // 2, 128)),
            return_overflowing_tokens=True,
        )
        null, found = 1e6, []
        for window in encoded.encodings:
            start, end = self.probabilities(window)
            null = min(null, start[0] * end[0])
            start[0] = end[0] = 0
            for s, e in self.spans(window, start, end, params.get("max_answer_length", 15))[: top_k * 2 + 10]:
                begin, finish = self.places(window, s, e, align)
                same = [one for one in found if one["answer"].lower() == context[begin:finish].lower()]
                if same:
                    same[0]["score"] += start[s] * end[e]
                else:
                    answer = {
                        "answer": context[begin:finish],
                        "score": start[s] * end[e],
                        "start": begin,
                        "end": finish,
                    }
                    found.append(answer)
        if impossible:
            found.append({"answer": "", "score": null, "start": 0, "end": 0})
        return sorted(found, key=lambda one: -one["score"])[:top_k]

    def probabilities(self, window: Any) -> tuple[Any, Any]:
        import torch

        names = {"input_ids": window.ids, "token_type_ids": window.type_ids}
        inputs = {k: torch.tensor([v]) for k, v in names.items() if k in self.tokenizer.model_input_names}
        with torch.inference_mode():
            output = self.model(**inputs)
        may = [
            side == 1 or token == self.tokenizer.cls_token_id
            for side, token in zip(window.sequence_ids, window.ids, strict=True)
        ]
        return tuple(
            torch.where(torch.tensor(may), logits[0], -10000.0).softmax(-1).double().numpy()
            for logits in (output.start_logits, output.end_logits)
        )

    @staticmethod
    def spans(window: Any, start: Any, end: Any, longest: int) -> list[tuple[int, int]]:
        context = [i for i, side in enumerate(window.sequence_ids) if side == 1]
        pairs = [(s, e) for s in context for e in context if s <= e < s + longest]
        return sorted(pairs, key=lambda pair: -start[pair[0]] * end[pair[1]])

    @staticmethod
    def places(window: Any, s: int, e: int, align: bool) -> tuple[int, int]:
        if align and window.token_to_word(s) is not None and window.token_to_word(e) is not None:
            return (
                window.word_to_chars(window.token_to_word(s), sequence_index=1)[0],
                window.word_to_chars(window.token_to_word(e), sequence_index=1)[1],
            )
        return window.offsets[s][0], window.offsets[e][1]


QUESTIONS: Final = [text(3 + i % 9, i) for i in range(12)]
CONTEXTS: Final = [text(1 + 13 * i, 100 + i) for i in range(12)]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"top_k": 5},
        {"top_k": 4, "impossible_answers": True},
        {"top_k": 3, "max_answer_length": 3, "doc_stride": 0},
        {"top_k": 3, "max_length": 40, "doc_stride": 5, "max_answer_length": 60},
    ],
    ids=str,
)
def test_answers_are_those_of_transformers_4(folder: Path, params: dict[str, Any]) -> None:
    plain = Plain(folder)
    for found, question, context in zip(rows(folder, QUESTIONS, CONTEXTS, **params), QUESTIONS, CONTEXTS, strict=True):
        expected = plain(question, context, **params)
        assert_same(found["answers"], expected)
        assert_same({name: found[name] for name in expected[0]}, expected[0])
        assert all(one["answer"] == context[one["start"] : one["end"]] for one in found["answers"])


def test_a_context_of_5000_words_is_read_whole(bert: Path) -> None:
    question, context = text(5, 1), text(5000, 2)
    [row] = rows(bert, [question], [context], top_k=4, impossible_answers=True)
    assert_same(row["answers"], Plain(bert)(question, context, top_k=4, impossible_answers=True))
    assert row["tokens"] > 5000
    assert max(one["start"] for one in row["answers"]) > 64 * 10


def test_a_context_without_a_word_has_no_answer(bert: Path) -> None:
    none = {"answer": "", "score": 0.0, "start": 0, "end": 0}
    for context in ("", " \n"):
        [row] = rows(bert, ["what"], [context], top_k=3)
        assert row["answers"] == [none]
        [row] = rows(bert, ["what"], [context], top_k=3, impossible_answers=True)
        assert row["answers"] == [{**none, "score": 1.0}]
        assert {name: row[name] for name in none} == row["answers"][0]


def test_questions_that_leave_no_room_cost_their_rows(bert: Path) -> None:
    """A window of 64 tokens, 3 of them special, shares 32: a question of 28 leaves room for 33 of a longer context."""
    long, short = text(300, 4), "the a"
    questions = ["of " * 28, "of " * 29, "of " * 29, "of " * 70, "", "of"]
    found = rows(bert, questions, [long, long, short, short, short, long])
    codes = [row["error"] and row["error"]["code"] for row in found]
    assert codes == [None, "too_long", None, "too_long", "encode_failed", None]
    assert "room for more than 32 tokens of its context in a window of 64" in found[1]["error"]["message"]
    assert found[0]["tokens"] > 64 * 200
    limited = rows(bert, questions, [short] * 6, max_question_length=28)
    codes = [row["error"] and row["error"]["code"] for row in limited]
    assert codes == [None, "too_long", "too_long", "too_long", "encode_failed", None]
    assert limited[1]["error"]["message"] == "expected a question of at most 28 tokens, got more: shorten it"


def test_tokenizers_that_pad_on_the_left_have_the_context_first(tmp_path: Path) -> None:
    """As their models were trained; the answer is in the context all the same, and never in the question."""
    folder = tiny.save(tmp_path, head="QuestionAnswering")
    names = ["input_ids", "token_type_ids", "attention_mask"]
    tiny.tokenizer(model_input_names=names, padding_side="left").save_pretrained(folder)
    contexts = [text(1 + 20 * i, i) for i in range(6)]
    made = scorer(folder, top_k=3)
    assert made.task.context_side == 0  # type: ignore[attr-defined]
    found = scoring.rows(made, question=["what is it"] * 6, context=contexts)
    for row, context in zip(found, contexts, strict=True):
        assert row is not None
        assert row["answer"] != ""
        assert all(one["answer"] == context[one["start"] : one["end"]] for one in row["answers"])
    [alone] = scoring.rows(made, question=["what is it"], context=contexts[5:])
    assert_same(found[5], alone)


@pytest.mark.parametrize("params", [{"top_k": 0}, {"max_answer_length": 0}, {"doc_stride": -1}, {"max_length": 0}])
def test_parameters_out_of_range_are_refused(bert: Path, params: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match=f"expected {next(iter(params))} to be null or at least"):
        scorer(bert, **params)
