from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.speech.transcript import Word
from engine.speech.words import timed, uttered
from tests import speech_models
from tests.unit.speech.spoken import said, vocabulary


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return speech_models.tokenizer()


def test_words_take_the_times_of_their_tokens(tokenizer: Any) -> None:
    """The, water and the comma are a token each, the last word is two: wa and x."""
    spoken = said(tokenizer, " the water, wax", 10.0, 15.0, moments=True)
    assert spoken.ids.size == 5

    found = timed(uttered(spoken, tokenizer, vocabulary(tokenizer), "en"))

    assert found == [
        Word(10.0, 11.0, "the", pytest.approx(0.5)),
        Word(11.0, 13.0, "water,", pytest.approx(0.5)),
        Word(13.0, 15.0, "wax", pytest.approx(0.5)),
    ]


def test_without_moments_words_are_spread_by_their_letters(tokenizer: Any) -> None:
    spoken = said(tokenizer, " the water", 0.0, 10.0)

    found = uttered(spoken, tokenizer, vocabulary(tokenizer), "en")

    assert [(one.text, one.start, one.end) for one in found] == [(" the", 0.0, 4.0), (" water", 4.0, 10.0)]


def test_time_stamps_are_no_words(tokenizer: Any) -> None:
    words = vocabulary(tokenizer)
    plain = said(tokenizer, " the water", 0.0, 4.0)
    ids = np.array([words.times, *plain.ids, words.times + 200])
    spoken = replace(plain, ids=ids, logprobs=np.zeros(4, np.float32), moments=np.array([0.0, 1.0, 2.0, 3.0, 4.0]))

    found = uttered(spoken, tokenizer, words, None)

    assert [(one.text, one.first, one.last, one.start, one.end) for one in found] == [
        (" the", 1, 2, 1.0, 2.0),
        (" water", 2, 3, 2.0, 3.0),
    ]


@pytest.mark.parametrize(("language", "words"), [("zh", ["水", "在", "下"]), ("de", ["水在下"])])
def test_languages_without_spaces_are_split_by_character(tokenizer: Any, language: str, words: list[str]) -> None:
    spoken = said(tokenizer, "水在下", 0.0, 3.0, moments=True)

    found = timed(uttered(spoken, tokenizer, vocabulary(tokenizer), language))

    assert [one.word for one in found] == words
    assert (found[0].start, found[-1].end) == (0.0, 3.0)


def test_nothing_has_no_words(tokenizer: Any) -> None:
    assert uttered(said(tokenizer, "", 0.0, 1.0), tokenizer, vocabulary(tokenizer), "en") == []
