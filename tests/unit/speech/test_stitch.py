from __future__ import annotations

from typing import Any

import pytest

from engine.speech.clip import Spoken
from engine.speech.stitch import stitch
from engine.speech.vocabulary import Vocabulary
from tests import speech_models
from tests.unit.speech import spoken


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return speech_models.tokenizer()


@pytest.fixture(scope="module")
def vocabulary(tokenizer: Any) -> Vocabulary:
    return spoken.vocabulary(tokenizer)


def said(tokenizer: Any, text: str, start: float, end: float, *, moments: bool = False) -> Spoken:
    return spoken.said(tokenizer, f" {text}", start, end, moments=moments)


def texts(tokenizer: Any, segments: list[Spoken]) -> list[str]:
    return [tokenizer.decode(one.ids).strip() for one in segments]


def test_the_seam_lies_in_what_both_say(tokenizer: Any, vocabulary: Vocabulary) -> None:
    left = [said(tokenizer, "look at the water", 20, 24), said(tokenizer, "many people call it long wa", 25, 30)]
    right = [said(tokenizer, "at all people call it long way down", 25, 33), said(tokenizer, "now find her", 33, 35)]

    kept, after = stitch(left, right, (25, 30), tokenizer, vocabulary, "en")

    assert texts(tokenizer, kept) == ["look at the water", "many people call"]
    assert texts(tokenizer, after) == ["it long way down", "now find her"]
    assert kept[0] is left[0]
    assert after[1] is right[1]
    assert (kept[1].start, after[0].end) == (25, 33)
    assert kept[1].end < 30
    assert after[0].start > 25


def test_of_equal_runs_the_nearest_in_time_is_the_seam(tokenizer: Any, vocabulary: Vocabulary) -> None:
    left = [said(tokenizer, "day no one day more", 25, 30, moments=True)]
    right = [said(tokenizer, "and day long", 27, 30, moments=True)]

    kept, after = stitch(left, right, (25, 30), tokenizer, vocabulary, "en")

    assert texts(tokenizer, kept + after) == ["day no one", "day long"]


def test_words_that_differ_are_parted_in_the_middle(tokenizer: Any, vocabulary: Vocabulary) -> None:
    left = [said(tokenizer, "one two three four", 24, 26), said(tokenizer, "so long", 28, 30)]
    right = [said(tokenizer, "been there", 25, 27), said(tokenizer, "come down", 28, 30)]

    kept, after = stitch(left, right, (25, 30), tokenizer, vocabulary, "en")

    assert texts(tokenizer, kept + after) == ["one two three four", "come down"]


@pytest.mark.parametrize("silent", ["left", "right", "both"])
def test_one_side_may_say_nothing(tokenizer: Any, vocabulary: Vocabulary, silent: str) -> None:
    left = [] if silent in ("left", "both") else [said(tokenizer, "so long", 20, 24)]
    right = [] if silent in ("right", "both") else [said(tokenizer, "come down", 29, 30)]

    assert stitch(left, right, (25, 30), tokenizer, vocabulary, "en") == (left, right)


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_one_says_where_the_other_says_nothing_stays(tokenizer: Any, vocabulary: Vocabulary, side: str) -> None:
    """A window that was taken for silent, or ends in silence, is no reason to drop what its neighbour heard."""
    before, after = said(tokenizer, "look at the water", 18, 22), said(tokenizer, "more people", 31, 34)
    heard = said(tokenizer, "many people call", 25, 30)
    left, right = ([before, heard], [after]) if side == "left" else ([before], [heard, after])

    assert stitch(left, right, (25, 30), tokenizer, vocabulary, "en") == (left, right)
    assert stitch([], right, (25, 30), tokenizer, vocabulary, "en") == ([], right)
    assert stitch(left, [], (25, 30), tokenizer, vocabulary, "en") == (left, [])
