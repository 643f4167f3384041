"""question-answering against the algorithm of transformers 4's pipeline, written out plainly, one row at a time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

import pytest

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
