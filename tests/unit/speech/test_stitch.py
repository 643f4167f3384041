from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.speech.clip import Spoken
from engine.speech.stitch import stitch
from engine.speech.vocabulary import Vocabulary
from tests import speech_models


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return speech_models.tokenizer()


@pytest.fixture(scope="module")
def vocabulary(tokenizer: Any) -> Vocabulary:
    times = tokenizer.convert_tokens_to_ids("<|0.00|>")
    return Vocabulary(
        start=0, end=0, previous=0, no_timestamps=times - 1, languages={}, tasks={}, size=len(tokenizer), step_s=0.02
    )


def said(tokenizer: Any, text: str, start: float, end: float, *, moments: bool = False) -> Spoken:
    ids = np.array(tokenizer(f" {text}", add_special_tokens=False)["input_ids"])
    return Spoken(
        start=start,
        end=end,
        ids=ids,
        logprobs=np.zeros(ids.size, np.float32),
        moments=np.linspace(start, end, ids.size + 1) if moments else None,
        avg_logprob=0.0,
        no_speech_prob=0.0,
    )


def texts(tokenizer: Any, spoken: list[Spoken]) -> list[str]:
    return [tokenizer.decode(one.ids).strip() for one in spoken]


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
