from __future__ import annotations

import pytest

from demo.words import corpus_error, edits, word_error, words


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("the red van is late", "the red van is late", 0),
        ("the red van is late", "the van is late", 1),  # one left out
        ("the red van is late", "the red red van is late", 1),  # one put in
        ("the red van is late", "the bread van was late", 2),  # two replaced
        ("the red van is late", "red van is late the", 2),  # moved: left out and put in
        ("the red van", "", 3),
        ("", "the red van", 3),
        ("", "", 0),
        ("a b c d", "d c b a", 4),
        ("a b c d e f", "x a b d e y f z", 4),  # x, c, y, z
    ],
)
def test_edits_are_counted_by_hand(reference: str, hypothesis: str, expected: int) -> None:
    assert edits(reference.split(), hypothesis.split()) == expected


def test_words_are_compared_without_case_punctuation_and_fillers() -> None:
    assert words("Um, I'd like — please — a REFUND!") == ["i", "would", "like", "please", "a", "refund"]
    assert words("twenty five percent") == words("25%")
    assert word_error("Is it in stock? Thanks.", "is it in, uh, stock thanks") == 0.0


def test_errors_are_by_the_words_of_the_reference() -> None:
    assert word_error("the red van is late", "the bread van is") == pytest.approx(2 / 5)
    assert word_error("late", "very very late") == 2.0


def test_a_corpus_counts_words_not_texts() -> None:
    pairs = [("the red van is late", "the red van"), ("late", "late")]
    assert corpus_error(pairs) == pytest.approx(2 / 6)


def test_a_reference_needs_a_word() -> None:
    with pytest.raises(ValueError, match="at least one word"):
        word_error("?!", "something")
