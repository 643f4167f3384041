"""From probabilities to answers, written out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from engine.tasks.answers import Answer, Read, answers
from engine.tasks.tokens import Spans, Tokens

#: [CLS] q [SEP] Wa ##ter is water [SEP], and [CLS] q [SEP] water [SEP]: one row, two windows.
CONTEXT = "Water is water"
WORDS = [(0, 0, -1, -1), (0, 1, 0, 0), (0, 0, -1, -1)]
FIRST = [*WORDS, (0, 2, 0, 1), (2, 5, 0, 1), (6, 8, 1, 1), (9, 14, 2, 1), (0, 0, -1, -1)]
SECOND = [*WORDS, (9, 14, 2, 1), (0, 0, -1, -1)]


def params(**given: object) -> SimpleNamespace:
    own = {"top_k": 3, "max_answer_length": 15, "impossible_answers": False, "align_to_words": True}
    return SimpleNamespace(**{**own, **given})


def read(first: list[float], second: list[float]) -> Read:
    """Logits of the context's tokens as starts and as ends; [CLS] has 0."""
    places = np.array([*FIRST, *SECOND], np.int32)
    spans = Spans(places[:, 0], places[:, 1], places[:, 2], places[:, 3].astype(np.int8))
    ids = np.array([2, 9, 3, 5, 6, 7, 8, 3, 2, 9, 3, 8, 3])
    tokens = Tokens(ids, np.zeros(13, np.int64), np.array([0, 8, 13]), np.zeros(2, bool), np.zeros(2, np.int64), spans)
    logits = np.full((13, 2), 50.0, np.float32)  # of question and [SEP], which may not answer
    logits[[0, 8]] = 0.0
    logits[3:7] = np.array(first)[:, None]
    logits[11:12] = np.array(second)[:, None]
    return Read(tokens, logits, spans.side == 1, ids == 2)


def test_equal_texts_are_one_answer_with_their_scores_added() -> None:
    """Starts and ends: e^1 of e^1 + 5 for each water, e^0 else; "Wa" and "##ter" are stretched to "Water"."""
    whole = np.e + 4
    p, q = np.e / whole, 1 / whole
    [found] = answers(read([0.0, 0.0, 0.0, 1.0], [1.0]), [CONTEXT], params(max_answer_length=1))
    expected = p * p + (np.e / (np.e + 1)) ** 2 + 2 * q * q
    assert found == [
        Answer("water", pytest.approx(expected), 9, 14),
        Answer("is", pytest.approx(q * q), 6, 8),
    ]


def test_spans_as_the_tokens_have_them() -> None:
    [found] = answers(read([1.0, 0.0, 0.0, 0.0], [-9.0]), [CONTEXT], params(align_to_words=False, top_k=2))
    assert [(one.answer, one.start, one.end) for one in found] == [("Wa", 0, 2), ("Water", 0, 5)]


@pytest.mark.parametrize("likely", [2.0, -2.0])
def test_no_answer_has_the_least_score_of_the_windows(likely: float) -> None:
    """The first window is sure of none; the second has [CLS] and one token, whose answer is placed where it was met."""
    [found] = answers(read([-30.0] * 4, [likely]), [CONTEXT], params(impossible_answers=True, top_k=2))
    none = 1 / (np.exp(likely) + 1)
    water, nothing = Answer("Water", pytest.approx((1 - none) ** 2), 0, 5), Answer("", pytest.approx(none**2), 0, 0)
    assert found == ([water, nothing] if likely > 0 else [nothing, water])


def test_many_windows_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = answers(read([0.0, 0.5, 0.0, 1.0], [1.0]), [CONTEXT], params())
    monkeypatch.setattr("engine.tasks.answers._AT_ONCE", 1)
    assert answers(read([0.0, 0.5, 0.0, 1.0], [1.0]), [CONTEXT], params()) == whole
